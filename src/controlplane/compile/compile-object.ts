/** The whole compilation of one object: what it becomes in the mesh and what its status must say. */

import { type Authorization, authorizationName } from '../../mesh/authorization.ts';
import { namespacedHostname } from '../../mesh/gateway-address.ts';
import type { Service as MeshService } from '../../mesh/service.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { MeshObject } from '../../objects/kinds.ts';
import { compileAuthorizationPolicy } from './authorization.ts';
import type { DesiredCondition } from './desired-condition.ts';
import { compileEndpointSlice } from './endpoint-slice.ts';
import { compileInlineEndpoints, compileWorkloadEntry } from './entry-workload.ts';
import type { CompileContext } from './object-lookup.ts';
import { compilePeerAuthentication } from './peer-authentication.ts';
import { compilePod } from './pod-workload.ts';
import { compileService } from './service.ts';
import { compileServiceEntry } from './service-entry.ts';

/** A resource of the mesh under its xDS name. */
export type MeshResource =
  | { readonly kind: 'workload'; readonly name: string; readonly value: Workload }
  | { readonly kind: 'service'; readonly name: string; readonly value: MeshService }
  | { readonly kind: 'authorization'; readonly name: string; readonly value: Authorization };

export interface CompiledObject {
  readonly resources: readonly MeshResource[];
  /** All conditions that the control plane keeps on the object. */
  readonly conditions: readonly DesiredCondition[];
}

const NOTHING: CompiledObject = { resources: [], conditions: [] };

/** Pure: reads other objects through the context only. */
export function compileObject(context: CompileContext, object: MeshObject): CompiledObject {
  switch (object.kind) {
    case 'Pod':
      return { resources: workloads([compilePod(context, object)]), conditions: [] };
    case 'EndpointSlice':
      return { resources: workloads(compileEndpointSlice(context, object)), conditions: [] };
    case 'WorkloadEntry': {
      const { workload, binding } = compileWorkloadEntry(context, object);
      return { resources: workloads([workload]), conditions: present(binding.condition) };
    }
    case 'Service': {
      const { service, conditions } = compileService(context, object);
      return { resources: services([service]), conditions };
    }
    case 'ServiceEntry': {
      const { services: compiled, conditions } = compileServiceEntry(context, object);
      const endpoints = compileInlineEndpoints(context, object);
      return { resources: [...services(compiled), ...workloads(endpoints)], conditions };
    }
    case 'AuthorizationPolicy': {
      const { authorization, condition } = compileAuthorizationPolicy(context, object);
      return { resources: authorizations([authorization]), conditions: present(condition) };
    }
    case 'PeerAuthentication': {
      const { authorization, condition } = compilePeerAuthentication(context, object);
      return { resources: authorizations([authorization]), conditions: [condition] };
    }
    default:
      return NOTHING;
  }
}

function present<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}

function workloads(values: readonly (Workload | undefined)[]): MeshResource[] {
  return values.flatMap((value) => (value === undefined ? [] : { kind: 'workload', name: value.uid, value }));
}

function services(values: readonly (MeshService | undefined)[]): MeshResource[] {
  return values.flatMap((value) =>
    value === undefined ? [] : { kind: 'service', name: namespacedHostname(value), value },
  );
}

/** Policies as resources. */
export function authorizations(values: readonly (Authorization | undefined)[]): MeshResource[] {
  return values.flatMap((value) =>
    value === undefined ? [] : { kind: 'authorization', name: authorizationName(value), value },
  );
}
