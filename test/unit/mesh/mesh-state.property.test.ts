/** Look-ups after any sequence of updates, against the naive mesh. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import type { Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { backs, ip, ports, service, vip, workload } from './builders.ts';
import { NaiveMesh } from './oracle.ts';

const NETWORKS = ['', 'west'];
const NAMESPACES = ['shop', 'bank', 'elsewhere'];
const IPS = ['10.0.0.1', '10.0.0.2', '10.1.0.1', '192.168.0.1', 'fd00::1', 'fd00:0:0:1::1'].map(ip);
const BLOCKS = ['10.0.0.0/8', '10.0.0.0/24', '10.0.0.1/32', '0.0.0.0/0', 'fd00::/16', 'fd00::/64', '::/0'];
const HOSTNAMES = ['web.example', 'db.example'];
const SERVICE_NAMES = ['shop', 'bank'].flatMap((ns) => HOSTNAMES.map((host) => `${ns}/${host}`));
const UIDS = [
  'c//Pod/shop/a',
  'c//Pod/shop/b',
  'c//Pod/bank/c',
  'c/networking.istio.io/WorkloadEntry/shop/d',
];

const anyWorkload: fc.Arbitrary<Workload> = fc
  .record({
    uid: fc.constantFrom(...UIDS),
    network: fc.constantFrom(...NETWORKS),
    addresses: fc.subarray(IPS, { maxLength: 2 }),
    tunnelProtocol: fc.constantFrom('HBONE', 'NONE'),
    networkMode: fc.constantFrom('STANDARD', 'STANDARD', 'HOST_NETWORK'),
    status: fc.constantFrom('HEALTHY', 'UNHEALTHY'),
    services: fc.subarray(SERVICE_NAMES).map((names) => backs(...names.map((name) => [name] as const))),
    hostname: fc.constantFrom('', '', 'vm.example'),
  } as const)
  .map((fields) => workload({ name: 'any', ...fields }));

const anyService: fc.Arbitrary<Service> = fc
  .record({
    namespace: fc.constantFrom('shop', 'bank'),
    hostname: fc.constantFrom(...HOSTNAMES),
    addresses: fc
      .tuple(fc.subarray([...IPS, ...BLOCKS], { maxLength: 4 }), fc.constantFrom(...NETWORKS))
      .map(([addresses, network]) => addresses.map((address) => vip(address, network))),
    canonical: fc.boolean(),
    visibility: fc.constantFrom('PUBLIC', 'PUBLIC', 'NAMESPACE'),
    loadBalancing: fc.constantFrom(undefined, {
      routingPreference: [],
      mode: 'UNSPECIFIED',
      healthPolicy: 'ALLOW_ALL',
    } as const),
  } as const)
  .map((fields) => service({ name: 'any', ports: ports([80, 8080]), ...fields }));

type Update = (mesh: MeshState | NaiveMesh) => void;

const anyUpdate: fc.Arbitrary<Update> = fc.oneof(
  anyWorkload.map(
    (one): Update =>
      (mesh) =>
        mesh.upsertWorkload(one),
  ),
  anyService.map(
    (one): Update =>
      (mesh) =>
        mesh.upsertService(one),
  ),
  fc.constantFrom(...UIDS, ...SERVICE_NAMES).map(
    (name): Update =>
      (mesh) =>
        mesh.removeAddress(name),
  ),
);

function uidsOf(workloads: Iterable<Workload>): string[] {
  return [...workloads].map((one) => one.uid).sort();
}

function assertSameAnswers(state: MeshState, naive: NaiveMesh): void {
  for (const network of NETWORKS) {
    for (const address of IPS) {
      assert.equal(
        state.workloadByAddress(network, address)?.uid,
        naive.workloadByAddress(network, address)?.uid,
      );
      for (const ns of NAMESPACES) {
        assert.deepEqual(state.serviceByVip(network, address, ns), naive.serviceByVip(network, address, ns));
      }
    }
  }
  for (const hostname of HOSTNAMES) {
    for (const ns of NAMESPACES) {
      assert.deepEqual(state.serviceByHostname(hostname, ns), naive.serviceByHostname(hostname, ns));
    }
  }
  for (const known of naive.services) {
    assert.deepEqual(uidsOf(state.endpointsOf(known)), uidsOf(naive.endpointsOf(known)));
  }
  assert.deepEqual(new Set(state.stagedServices().keys()), naive.staged());
  assert.deepEqual(uidsOf(state.workloads()), uidsOf(naive.workloads));
  assert.equal([...state.services()].length, naive.services.length);
  assert.equal(state.serviceCount, naive.services.length);
}

test('after any sequence of updates every look-up answers as the naive mesh does', () => {
  fc.assert(
    fc.property(fc.array(anyUpdate, { maxLength: 25 }), (updates) => {
      const state = new MeshState();
      const naive = new NaiveMesh();
      for (const update of updates) {
        update(state);
        update(naive);
        assertSameAnswers(state, naive);
      }
    }),
    { numRuns: 150 },
  );
});

test('a mesh from which everything was removed holds nothing', () => {
  fc.assert(
    fc.property(fc.array(anyUpdate, { maxLength: 25 }), (updates) => {
      const state = new MeshState();
      for (const update of updates) update(state);
      for (const name of [...UIDS, ...SERVICE_NAMES]) state.removeAddress(name);
      assert.equal(state.workloadCount, 0);
      assert.equal(state.serviceCount, 0);
      assert.equal(state.stagedServices().size, 0);
      assert.deepEqual([...state.serviceIndex.records()], []);
    }),
    { numRuns: 100 },
  );
});

test('workloads come back as they went in', () => {
  fc.assert(
    fc.property(anyWorkload, (one) => {
      const state = new MeshState();
      state.upsertWorkload(one);
      const stored = state.workloadByUid(one.uid)!;
      assert.deepEqual(stored, {
        waypoint: undefined,
        networkGateway: undefined,
        applicationTunnel: undefined,
        ...one,
      });
    }),
  );
});
