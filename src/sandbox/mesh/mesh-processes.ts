/** The mesh's own processes: pods in ambit-system, run by the sandbox's kubelet like all others. */

import type { CniFacts, ControlPlaneFacts, ZtunnelFacts } from '../client/environment.ts';
import type { MeshComponent } from '../client/sandbox-protocol.ts';

export class MeshProcesses {
  labelsOf(component: MeshComponent): Readonly<Record<string, string>> {
    return { app: component };
  }
  controlPlaneFacts(): ControlPlaneFacts | undefined {
    return undefined;
  }
  cniFacts(_node: string): CniFacts | undefined {
    return undefined;
  }
  ztunnelFacts(_node: string): ZtunnelFacts | undefined {
    return undefined;
  }
}
