/** The meshes that the data plane's bench is measured with. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DecisionMeasures } from '../../bench/dataplane/mesh-size/decision-measures.ts';
import { SyntheticMesh } from '../../bench/dataplane/mesh-size/synthetic-mesh.ts';

const SIZE = { workloads: 3000, services: 300, policies: 300 };

test('a synthetic mesh has as many objects as asked for, and none has the name or address of another', () => {
  const mesh = new SyntheticMesh(SIZE);
  const workloads = [...mesh.workloads()];
  const services = [...mesh.services()];
  const policies = [...mesh.policies()];
  assert.equal(new Set(workloads.map(({ uid }) => uid)).size, SIZE.workloads);
  assert.equal(new Set(workloads.flatMap(({ addresses }) => addresses)).size, SIZE.workloads);
  assert.equal(
    new Set(services.flatMap(({ addresses }) => addresses.map(({ ip }) => ip))).size,
    SIZE.services,
  );
  assert.equal(new Set(policies.map(({ namespace, name }) => `${namespace}/${name}`)).size, SIZE.policies);
});

test('policies that pods name exist, and are of those that are named', () => {
  const mesh = new SyntheticMesh(SIZE);
  const selecting = [...mesh.policies()].filter(({ scope }) => scope === 'WORKLOAD_SELECTOR');
  const known = new Set(selecting.map(({ namespace, name }) => `${namespace}/${name}`));
  const named = new Set([...mesh.workloads()].flatMap(({ authorizationPolicies }) => authorizationPolicies));
  assert.deepEqual(named, known);
});

test('every question of the decision measures is one that has an answer', () => {
  const measures = new DecisionMeasures(SIZE);
  measures.round();
  assert.ok(measures.endpointsChosen === measures.asked && measures.servicesFound === measures.asked);
  assert.ok(measures.allowed > 0 && measures.allowed < measures.asked);
});
