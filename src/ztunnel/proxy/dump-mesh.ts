/** What a reactor thread decides by, in the form that /config_dump shows. */

import type { MeshState } from '../../mesh/mesh-state.ts';
import type { Workload } from '../../mesh/workload.ts';
import { dumpPolicy, dumpService, dumpWorkload, type EndpointView } from '../admin/config-dump.ts';
import type { ReactorDump } from './messages.ts';

export function dumpMesh(state: MeshState): NonNullable<ReactorDump['mesh']> {
  const endpoints = endpointsByService(state.workloads());
  return {
    workloads: [...state.workloads()].map(dumpWorkload),
    services: [...state.services()].map((service) =>
      dumpService(service, endpoints.get(`${service.namespace}/${service.hostname}`) ?? []),
    ),
    policies: [...state.authorizations()].map(dumpPolicy),
    stagedServices: Object.fromEntries(
      [...state.stagedServices()].map(([name, workloads]) => [name, workloads.map((one) => one.uid)]),
    ),
  };
}

/** Healthy and unhealthy ones: a person wants to see both. */
function endpointsByService(workloads: Iterable<Workload>): Map<string, EndpointView[]> {
  const byService = new Map<string, EndpointView[]>();
  for (const workload of workloads) {
    for (const [service, ports] of workload.services) {
      const views = byService.get(service) ?? [];
      views.push({ workload, ports });
      byService.set(service, views);
    }
  }
  return byService;
}
