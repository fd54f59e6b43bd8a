/** What the handlers of calls work on. */

import type { MeshProcesses } from '../mesh/mesh-processes.ts';
import type { Cluster } from './cluster.ts';
import type { SandboxConfig } from './sandbox-config.ts';

export interface HandlerContext {
  readonly config: SandboxConfig;
  readonly cluster: Cluster;
  /** Absent in a cluster without mesh. */
  readonly mesh: MeshProcesses | undefined;
  /** Ends the daemon after the answer. */
  readonly end: () => void;
}
