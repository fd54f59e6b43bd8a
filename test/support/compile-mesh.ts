/** Compiles a handful of objects for tests and files the result by name. */

import assert from 'node:assert/strict';
import { type CompiledObject, compileObject } from '../../src/controlplane/compile/compile-object.ts';
import {
  type CompileOptions,
  DEFAULT_COMPILE_OPTIONS,
} from '../../src/controlplane/compile/compile-options.ts';
import type { DesiredCondition } from '../../src/controlplane/compile/desired-condition.ts';
import { project } from '../../src/kube/projection.ts';
import type { Authorization } from '../../src/mesh/authorization.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import type { MeshObject } from '../../src/objects/kinds.ts';
import { LinearLookup } from './linear-lookup.ts';

export interface CompiledMesh {
  /** By the name of the workload, which is that of its pod or entry. */
  readonly workloads: Readonly<Record<string, Workload>>;
  readonly workloadList: readonly Workload[];
  /** By host name. */
  readonly services: Readonly<Record<string, Service>>;
  readonly serviceList: readonly Service[];
  readonly authorizations: Readonly<Record<string, Authorization>>;
  /** Of an object, `type=status/reason` by its name. */
  conditions(name: string): readonly string[];
  message(name: string): string;
}

function compileAll(objects: readonly MeshObject[], options: Partial<CompileOptions>) {
  const context = {
    options: { ...DEFAULT_COMPILE_OPTIONS, ...options },
    objects: new LinearLookup(objects),
  };
  return objects.map((object) => ({ object, ...compileObject(context, object) }));
}

function outcome({ resources, conditions }: CompiledObject): CompiledObject {
  return { resources, conditions };
}

export function compileMesh(
  objects: readonly MeshObject[],
  options: Partial<CompileOptions> = {},
): CompiledMesh {
  const compiled = compileAll(objects, options);
  // In a cluster only some fields of an object are kept: they have to be enough for whatever is tested.
  const kept = objects.map((object) => project(object.kind, object));
  assert.deepEqual(compileAll(kept, options).map(outcome), compiled.map(outcome));
  const resources = compiled.flatMap((one) => one.resources);
  const workloadList = resources.flatMap((one) => (one.kind === 'workload' ? one.value : []));
  const serviceList = resources.flatMap((one) => (one.kind === 'service' ? one.value : []));
  const policies = resources.flatMap((one) => (one.kind === 'authorization' ? one.value : []));
  const conditionsOf = (name: string): readonly DesiredCondition[] =>
    compiled.filter((one) => one.object.metadata.name === name).flatMap((one) => one.conditions);
  return {
    workloads: Object.fromEntries(workloadList.map((one) => [one.name, one])),
    workloadList,
    services: Object.fromEntries(serviceList.map((one) => [one.hostname, one])),
    serviceList,
    authorizations: Object.fromEntries(policies.map((one) => [one.name, one])),
    conditions: (name) => conditionsOf(name).map((one) => `${one.type}=${one.status}/${one.reason}`),
    message: (name) =>
      conditionsOf(name)
        .map((one) => one.message)
        .join('\n'),
  };
}
