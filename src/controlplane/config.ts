/** What a control plane is started with. */

import { type IpAddress, parseIp } from '../base/ip.ts';
import { controlPlaneErrors } from './errors.ts';

/** Where a server listens; no host means all addresses of both families. */
export interface ListenAddress {
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface ControlPlaneConfig {
  /** Folder of Kubernetes objects; absent: they are read from a Kubernetes API server. */
  readonly objects?: string;
  /** Of that API server; absent: the service account of this pod, or the user's own kubeconfig. */
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly listen: ListenAddress;
  readonly http: ListenAddress;
  /** Folder of the CA's state; the root certificate for clients is published in it. */
  readonly caDir: string;
  /** PEM file with the public key that service account tokens are signed with. */
  readonly tokenKey: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly network: string;
  readonly rootNamespace: string;
  readonly servingNames: ServingNames;
}

/** Under which names clients know this server. */
export interface ServingNames {
  readonly dnsNames: readonly string[];
  readonly ips: readonly IpAddress[];
}

export const DEFAULT_SERVING_NAMES: readonly string[] = [
  'istiod.istio-system.svc',
  'ambit-controlplane.ambit-system.svc',
  'localhost',
];

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
export function servingNamesOf(names: readonly string[]): ServingNames {
  const all = [...new Set([...DEFAULT_SERVING_NAMES, ...names])];
  return {
    dnsNames: all.filter((name) => parseIp(name) === undefined),
    ips: all.flatMap((name) => parseIp(name) ?? []),
  };
}
