/** What a proxy in a process of its own is to do, as its parent tells it. */

import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import type { Environment } from '../../src/ztunnel/config.ts';
import type { CertificateAuthority } from './certificates.ts';
import type { TestPod } from './mesh-node.ts';

/** What the parent writes in the first line. */
export interface ProxyPlan {
  readonly authority: CertificateAuthority;
  readonly pods: readonly TestPod[];
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly reactors: number;
  readonly drainDeadlineMs: number;
  /** Who is asked for names that are not of the mesh. */
  readonly nameservers?: readonly string[];
}

/** What is common to the environments of all proxies that have a plan. */
export function environmentOf({ reactors, nameservers = [] }: ProxyPlan): Environment {
  return { ZTUNNEL_WORKER_THREADS: String(reactors), DNS_NAMESERVERS: nameservers.join(',') };
}

/** Maps do not survive JSON. */
export function encodePlan(plan: ProxyPlan): string {
  return JSON.stringify(plan, (_, value: unknown) =>
    value instanceof Map ? { mapEntries: [...value] } : value,
  );
}

/** What {@link encodePlan} made of a plan. */
export function decodePlan(line: string): ProxyPlan {
  return JSON.parse(line, (_, value: unknown) => {
    const isMap = typeof value === 'object' && value !== null && 'mapEntries' in value;
    return isMap ? new Map(value.mapEntries as Iterable<[string, unknown]>) : value;
  }) as ProxyPlan;
}
