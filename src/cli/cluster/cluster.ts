/** A cluster as commands see it: its API server, and the HTTP pages of its pods. */

import type { ClusterApi } from './cluster-api.ts';
import type { KubeObject } from './kube-types.ts';

export interface PodReference {
  readonly namespace: string;
  readonly name: string;
}

export interface PodRequest {
  readonly pod: PodReference;
  readonly port: number;
  readonly method: 'GET' | 'POST';
  readonly path: string;
}

export interface ApplyRequest {
  readonly fieldManager: string;
  readonly force: boolean;
  readonly dryRun: boolean;
}

export interface Cluster {
  readonly api: ClusterApi;
  /** Where the mesh is installed. */
  readonly meshNamespace: string;
  /** Server-side apply. @throws AmbitError AMBIT_KUBE_APPLY_CONFLICT, and as a request */
  apply(object: KubeObject, request: ApplyRequest): Promise<unknown>;
  /** What a pod answers on a port of its loopback. @throws AmbitError AMBIT_CLI_UNREACHABLE, AMBIT_CLI_USAGE */
  ask(request: PodRequest): Promise<string>;
  close(): Promise<void>;
}
