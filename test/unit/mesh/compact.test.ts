import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { compactAuthorization } from '../../../src/mesh/compact.ts';
import { Interner } from '../../../src/mesh/interner.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import {
  backs,
  ip,
  policy,
  rule,
  text,
  waypointByAddress,
  waypointByHostname,
  workload,
} from './builders.ts';

function pod(i: number): Workload {
  const name = `web-7d4b9c6f5d-${i.toString(36).padStart(5, '0')}`;
  return workload({
    name,
    addresses: [ip(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`)],
    workloadName: 'web',
    canonicalName: 'web',
    node: `node-${i % 1000}`,
    locality: { region: 'eu', zone: `eu-${i % 3}`, subzone: '' },
    services: backs([`shop/web-${i % 1000}.shop.svc.cluster.local`, [80, 8080], [443, 8443]]),
    authorizationPolicies: ['istio-system/istio_converted_static_strict'],
    waypoint: waypointByHostname('shop', 'waypoint.shop.svc.cluster.local'),
    networkGateway: waypointByAddress('10.255.0.1'),
    applicationTunnel: { protocol: 'PROXY', port: 15088 },
  });
}

test('pods of one Deployment share everything that they have in common', () => {
  const state = new MeshState();
  const [a, b] = [0, 3000].map((i) => {
    state.upsertWorkload(pod(i));
    return state.workloadByUid(pod(i).uid)!;
  }) as [Workload, Workload];
  for (const field of [
    'services',
    'authorizationPolicies',
    'waypoint',
    'networkGateway',
    'applicationTunnel',
    'locality',
    'extensions',
  ] as const) {
    assert.equal(a[field], b[field], field);
  }
});

test('pods that differ in one port, policy or place share nothing by mistake', () => {
  const state = new MeshState();
  const variants: Partial<Workload>[] = [
    {},
    { services: backs(['shop/web-0.shop.svc.cluster.local', [80, 8081], [443, 8443]]) },
    { services: backs(['shop/web-0.shop.svc.cluster.local', [80, 8080]]) },
    { services: new Map() },
    { authorizationPolicies: ['a/b', 'c/d'] },
    { waypoint: waypointByHostname('shop', 'waypoint.shop.svc.cluster.local', 15018) },
    { waypoint: waypointByAddress('10.0.0.1') },
    { waypoint: undefined, networkGateway: undefined, applicationTunnel: undefined },
    { applicationTunnel: { protocol: 'NONE', port: 15088 } },
    { locality: { region: 'eu', zone: '', subzone: 'eu-0' } },
  ];
  for (const [i, fields] of variants.entries()) {
    const one = { ...pod(0), uid: `uid-${i}`, ...fields };
    state.upsertWorkload(one);
    assert.deepEqual(state.workloadByUid(one.uid), one);
  }
});

test('the state does not change when the object that was put in does', () => {
  const addresses = [ip('10.0.0.1')];
  const services = new Map([['shop/web', [{ servicePort: 80, targetPort: 8080 }]]]);
  const state = new MeshState();
  state.upsertWorkload(workload({ name: 'w', addresses, services }));
  addresses.push(ip('10.0.0.2'));
  services.clear();
  const stored = state.workloadByUid('Kubernetes//Pod/shop/w')!;
  assert.deepEqual(stored.addresses, ['10.0.0.1']);
  assert.equal(stored.services.size, 1);
});

test('an interner forgets what has not been asked for in a long time, and only that', () => {
  const interner = new Interner();
  const first = interner.value('kept', () => ({}));
  const lost = interner.value('lost', () => ({}));
  for (let i = 0; i < 100_000; i++) {
    interner.value(`other-${i}`, () => ({}));
    if (i % 1000 === 0)
      assert.equal(
        interner.value('kept', () => ({})),
        first,
      );
  }
  assert.notEqual(
    interner.value('lost', () => ({})),
    lost,
  );
  assert.equal(interner.string('a'), 'a');
});

test('a compacted policy says the same and shares its empty lists', () => {
  const one = policy({ name: 'p', rules: [rule([{ principals: [text('*')] }, {}])] });
  const compacted = compactAuthorization(one);
  assert.deepEqual(compacted, one);
  const [first, second] = compacted.rules[0]!.clauses[0]!.matches;
  assert.equal(first!.namespaces, second!.principals);
});

/** For information: the number depends on the runtime and asserts nothing. */
test('how much memory a workload takes', (context) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const count = 20_000;
  collect();
  const before = process.memoryUsage().heapUsed;
  const state = new MeshState();
  for (let i = 0; i < count; i++) state.upsertWorkload(pod(i));
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  context.diagnostic(`${Math.round(bytes)} bytes for each of ${state.workloadCount} workloads`);
});
