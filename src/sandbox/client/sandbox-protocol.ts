/** What the commands and the daemon of a sandbox say to each other: JSON over HTTP on a Unix socket. */

import type { AppliedObject, LabelChanges } from '../api/cluster-api.ts';
import type { KindInfo } from '../api/kind-registry.ts';
import type { KubeObject, Reference } from '../api/kube-object.ts';
import type { Manifest } from '../api/manifest-file.ts';
import type { ReadinessEntry } from '../daemon/readiness.ts';
import type { Environment } from './environment.ts';

/** Everything the daemon can be asked: the body and the answer of each. */
export interface SandboxCalls {
  readonly apply: {
    readonly request: { readonly manifests: readonly Manifest[]; readonly namespace: string };
    readonly response: readonly AppliedObject[];
  };
  readonly delete: {
    readonly request: { readonly references: readonly Reference[]; readonly graceSeconds?: number };
    readonly response: readonly Reference[];
  };
  readonly label: {
    readonly request: ObjectQuery & { readonly name: string; readonly changes: LabelChanges };
    readonly response: Reference;
  };
  readonly objects: { readonly request: ObjectQuery; readonly response: ObjectList };
  readonly readiness: { readonly request: Nothing; readonly response: readonly ReadinessEntry[] };
  readonly container: { readonly request: ContainerQuery; readonly response: ContainerAnswer };
  readonly environment: { readonly request: Nothing; readonly response: Environment };
  readonly restart: {
    readonly request: { readonly component: MeshComponent; readonly node?: string };
    readonly response: readonly Reference[];
  };
  readonly down: { readonly request: Nothing; readonly response: Nothing };
}

export type CallName = keyof SandboxCalls;
export type Nothing = Readonly<Record<string, never>>;

export const MESH_COMPONENTS = ['ztunnel', 'cni', 'controlplane'] as const;
export type MeshComponent = (typeof MESH_COMPONENTS)[number];

/** Node n is 172.30.0.(10+n), and the third byte of its pods' block is n: both must stay below 255. */
export const MAX_NODES = 240;

/** How `get` prints objects. */
export const OUTPUT_FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export interface ObjectQuery {
  /** As typed: `pods`, `svc`, `Deployment`. */
  readonly kind: string;
  /** Absent for all namespaces. */
  readonly namespace?: string;
  readonly name?: string;
}

export interface ObjectList {
  readonly info: KindInfo;
  readonly objects: readonly KubeObject[];
}

export interface ContainerQuery {
  readonly namespace: string;
  readonly pod: string;
  /** The first one when absent. */
  readonly container?: string;
}

/** How to run something in a container, and where its output is. */
export interface ContainerAnswer {
  readonly container: string;
  readonly logFile: string;
  /** Of the process that holds the pod's namespaces, inside the sandbox; absent when the pod has none. */
  readonly pid?: number;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
}

/** How a failed call is answered. */
export interface ErrorAnswer {
  readonly code: string;
  readonly side: string;
  readonly message: string;
  readonly hint: string;
}
