/** What a control plane is started with. */

import { type IpAddress, parseIp } from '../base/ip.ts';
import { controlPlaneErrors } from './errors.ts';

/** Where a server listens; no host means all addresses of both families. */
export interface ListenAddress {
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What holds wherever the control plane runs. */
export interface CommonConfig {
  readonly listen: ListenAddress;
  readonly http: ListenAddress;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly network: string;
  readonly rootNamespace: string;
  readonly servingNames: ServingNames;
  /** Accounts of node proxies, `namespace/serviceAccount`. */
  readonly trustedNodeAccounts: readonly string[];
}

/** A mesh without Kubernetes. */
export interface FolderConfig extends CommonConfig {
  readonly kind: 'folder';
  /** Folder of Kubernetes objects. */
  readonly objects: string;
  /** Folder of the CA's state; the root certificate for clients is published in it. */
  readonly caDir: string;
  /** PEM file with the public key that service account tokens are signed with. */
  readonly tokenKey: string;
}

/** One of several control planes of a Kubernetes cluster. */
export interface KubernetesConfig extends CommonConfig {
  readonly kind: 'kubernetes';
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Where the control plane is installed: its lease and its CA are there. */
  readonly namespace: string;
  /** Unique among the replicas: the name of the pod. */
  readonly identity: string;
  /** Name of the Secret with the CA. */
  readonly caSecret: string;
  /** Audiences of the tokens that callers show. */
  readonly tokenAudiences: readonly string[];
}

export type ControlPlaneConfig = FolderConfig | KubernetesConfig;

/** Under which names clients know this server. */
export interface ServingNames {
  readonly dnsNames: readonly string[];
  readonly ips: readonly IpAddress[];
}

export const DEFAULT_NAMESPACE = 'ambit-system';

/** Istio's proxies ask for the first one. */
export function defaultServingNames(namespace: string): readonly string[] {
  return ['istiod.istio-system.svc', `ambit-controlplane.${namespace}.svc`, 'localhost'];
}

const ANY_ADDRESS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

/**
 * Reads `host:port`, `[v6]:port` or `:port`. The unspecified address of either family means all addresses of both.
 * @throws AMBIT_CONTROLPLANE_CONFIG_INVALID
 */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw controlPlaneErrors.AMBIT_CONTROLPLANE_CONFIG_INVALID(`${text} is not an address to listen on`);
  }
  const host = match[1] ?? match[2] ?? '';
  return ANY_ADDRESS.has(host) ? { port } : { host, port };
}

/** Sorts names given by a user into DNS names and addresses; they are added to the default ones. */
export function servingNamesOf(names: readonly string[], namespace = DEFAULT_NAMESPACE): ServingNames {
  const all = [...new Set([...defaultServingNames(namespace), ...names])];
  return {
    dnsNames: all.filter((name) => parseIp(name) === undefined),
    ips: all.flatMap((name) => parseIp(name) ?? []),
  };
}
