/** Which endpoints are drawn, with which port and how often, against the naive mesh. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { type OutboundDecision, resolveOutbound } from '../../../src/mesh/outbound-resolution.ts';
import type { RoutingScope, Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { backs, ip, ports, service, waypointByAddress, workload } from './builders.ts';
import { NaiveMesh } from './oracle.ts';

const VIP = ip('10.96.0.1');
const SERVICE_NAME = 'shop/web.shop.svc.cluster.local';
const SCOPES: readonly RoutingScope[] = ['REGION', 'ZONE', 'SUBZONE', 'NODE', 'CLUSTER', 'NETWORK'];
/** More than the sum of all capacities, so that an even spread of draws reaches every endpoint. */
const DRAWS = 200;

const anyPlace = fc.record({
  node: fc.constantFrom('n1', 'n2'),
  clusterId: fc.constantFrom('c1', 'c2'),
  locality: fc.record({
    region: fc.constantFrom('r1', 'r2'),
    zone: fc.constantFrom('z1', 'z2'),
    subzone: fc.constantFrom('s1', 's2'),
  }),
});

/** A client may be on the other network, from where the endpoints of this one are remote. */
const anyClient = fc
  .tuple(anyPlace, fc.constantFrom('', '', 'west'))
  .map(([place, network]) => ({ ...place, network }));

const anyEndpoint = fc
  .tuple(
    anyPlace,
    fc.record({
      addresses: fc.constantFrom([], ['10.0.0.1'], ['fd00::1'], ['10.0.0.1', 'fd00::1']),
      hostname: fc.constantFrom('', '', '', 'db.example'),
      network: fc.constantFrom('', '', 'west'),
      hasGateway: fc.boolean(),
      status: fc.constantFrom('HEALTHY', 'HEALTHY', 'UNHEALTHY'),
      tunnelProtocol: fc.constantFrom('HBONE', 'NONE'),
      capacity: fc.integer({ min: 0, max: 4 }),
      mappings: fc.constantFrom<[number, number][]>([], [[80, 8080]], [[81, 8081]], [[80, 0]]),
    } as const),
  )
  .map(([place, { hasGateway, mappings, addresses, ...fields }]) => ({
    ...place,
    ...fields,
    addresses: addresses.map(ip),
    // Without a gateway a remote endpoint with an address is drawn and then refused, which has a test of its own.
    ...(hasGateway || addresses.length > 0 || fields.hostname !== ''
      ? { networkGateway: waypointByAddress('10.255.0.1', 'west') }
      : {}),
    services: backs([SERVICE_NAME, ...mappings]),
  }));

const anyService: fc.Arbitrary<Service> = fc
  .record({
    ports: fc.constantFrom(ports([80, 9090]), ports([80, 0]), ports([443, 8443])),
    ipFamilies: fc.constantFrom('AUTOMATIC', 'IPV4_ONLY', 'IPV6_ONLY', 'DUAL'),
    loadBalancing: fc.option(
      fc.record({
        mode: fc.constantFrom('UNSPECIFIED', 'STRICT', 'FAILOVER'),
        healthPolicy: fc.constantFrom('ONLY_HEALTHY', 'ALLOW_ALL'),
        routingPreference: fc.shuffledSubarray([...SCOPES], { maxLength: 4 }),
      } as const),
      { nil: undefined },
    ),
  } as const)
  .map((fields) => service({ name: 'web', addresses: [{ network: '', ip: VIP }], ...fields }));

/** The workload that a decision is about: behind a gateway it is the remote one. */
function chosenUid(decision: OutboundDecision): string | undefined {
  if (decision.kind === 'direct' || decision.kind === 'plain') return decision.endpoint.uid;
  return decision.kind === 'gateway' ? decision.remote.uid : undefined;
}

function portOf(decision: OutboundDecision): number | undefined {
  if (decision.kind === 'direct') return decision.targetPort;
  return decision.kind === 'plain' ? decision.dial.port : undefined;
}

function addGateway(state: MeshState): void {
  state.upsertWorkload(
    workload({ name: 'gw', uid: 'gw', network: 'west', addresses: [ip('10.255.0.1')], services: new Map() }),
  );
}

interface Draws {
  readonly counts: Map<string, number>;
  readonly ports: Map<string, number>;
}

function drawMany(state: MeshState, source: Workload, exclude?: ReadonlySet<string>): Draws {
  const draws: Draws = { counts: new Map(), ports: new Map() };
  for (let i = 0; i < DRAWS; i++) {
    const decision = resolveOutbound(state, {
      source,
      destination: { ip: VIP, port: 80 },
      network: '',
      random: () => i / DRAWS,
      exclude,
    });
    const uid = chosenUid(decision);
    if (uid === undefined) {
      assert.equal(decision.kind, 'refused');
      continue;
    }
    draws.counts.set(uid, (draws.counts.get(uid) ?? 0) + 1);
    const port = portOf(decision);
    if (port !== undefined) draws.ports.set(uid, port);
  }
  return draws;
}

test('exactly the eligible endpoints are drawn, in proportion to their capacity, before and after updates', () => {
  fc.assert(
    fc.property(
      fc.array(anyEndpoint, { maxLength: 6 }),
      fc.array(anyService, { minLength: 1, maxLength: 3 }),
      fc.array(anyClient, { minLength: 1, maxLength: 3 }),
      (endpoints, services, places) => {
        const state = new MeshState();
        const naive = new NaiveMesh();
        addGateway(state);
        for (const [i, fields] of endpoints.entries()) {
          const one = workload({ name: `e${i}`, ...fields });
          state.upsertWorkload(one);
          naive.upsertWorkload(one);
        }
        // Each version of the service is asked by each client twice, so that cached choices are met as well.
        for (const version of services) {
          state.upsertService(version);
          naive.upsertService(version);
          for (const place of [...places, ...places]) {
            const source = workload({ name: 'client', addresses: [ip('10.9.9.9')], ...place });
            const expected = naive.eligible(version, source, 80, new Set());
            const { counts, ports: drawnPorts } = drawMany(state, source);
            assert.deepEqual(new Set(counts.keys()), new Set(expected.keys()));
            for (const [uid, port] of drawnPorts) assert.equal(port, expected.get(uid));
            assertProportional(state, counts);
          }
        }
      },
    ),
    { numRuns: 120 },
  );
});

function assertProportional(state: MeshState, counts: ReadonlyMap<string, number>): void {
  const capacity = (uid: string): number => state.workloadByUid(uid)!.capacity;
  const total = [...counts.keys()].reduce((sum, uid) => sum + capacity(uid), 0);
  for (const [uid, count] of counts) {
    const share = (DRAWS * capacity(uid)) / total;
    assert.ok(Math.abs(count - share) <= 1.5, `${uid}: ${count} of ${DRAWS} draws for a share of ${share}`);
  }
}

test('an endpoint that was tried is never drawn again while another is eligible', () => {
  fc.assert(
    fc.property(
      fc.array(anyEndpoint, { maxLength: 6 }),
      anyService,
      anyPlace,
      fc.subarray(['e0', 'e1', 'e2', 'e3', 'e4', 'e5']),
      (endpoints, version, place, tried) => {
        const state = new MeshState();
        const naive = new NaiveMesh();
        addGateway(state);
        for (const [i, fields] of endpoints.entries()) {
          const one = workload({ name: `e${i}`, uid: `e${i}`, ...fields });
          state.upsertWorkload(one);
          naive.upsertWorkload(one);
        }
        state.upsertService(version);
        const source = workload({ name: 'client', ...place });
        const exclude = new Set(tried);
        const expected = naive.eligible(version, source, 80, exclude);
        const { counts } = drawMany(state, source, exclude);
        assert.deepEqual(new Set(counts.keys()), new Set(expected.keys()));
      },
    ),
    { numRuns: 120 },
  );
});
