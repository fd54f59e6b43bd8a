/** What is known of the mesh's own parts, as the API server and the parts themselves tell it. */

import type { AgentReport } from '../cluster/agent-report.ts';
import type { ConfigMap, DaemonSet, Deployment, KubeEvent, Lease, Node, Pod } from '../cluster/kube-types.ts';
import type { Answer } from '../cluster/node-answers.ts';
import type { ConfigDump } from '../config-dump.ts';

export interface MeshFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly cliVersion: string;
  readonly meshNamespace: string;
  readonly nodes: readonly Node[];
  readonly controlPlane: Deployment | undefined;
  readonly agentSet: DaemonSet | undefined;
  readonly proxySet: DaemonSet | undefined;
  /** Pods of the mesh's namespace. */
  readonly pods: readonly Pod[];
  /** Events of that namespace. */
  readonly events: readonly KubeEvent[];
  readonly crds: readonly string[];
  readonly lease: Lease | undefined;
  /** The readiness page of each pod of the control plane. */
  readonly controlPlanes: ReadonlyMap<string, Answer<string>>;
  /** By node; where no agent runs there is no entry. */
  readonly agents: ReadonlyMap<string, Answer<AgentReport>>;
  readonly proxies: ReadonlyMap<string, Answer<ConfigDump>>;
  /** The published roots of all namespaces, and the names of all namespaces. */
  readonly roots: readonly ConfigMap[];
  readonly namespaces: readonly string[];
}
