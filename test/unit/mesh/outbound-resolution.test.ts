import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import {
  type OutboundDecision,
  type OutboundRequest,
  resolveOutbound,
  withResolvedAddress,
} from '../../../src/mesh/outbound-resolution.ts';
import type { Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import {
  backs,
  ip,
  ports,
  service,
  vip,
  waypointByAddress,
  waypointByHostname,
  workload,
} from './builders.ts';

const WEB = 'shop/web.shop.svc.cluster.local';
const WAYPOINT = 'shop/waypoint.shop.svc.cluster.local';
const client = workload({ name: 'client', addresses: [ip('10.0.0.1')] });
const server = workload({
  name: 'server',
  addresses: [ip('10.0.0.2')],
  serviceAccount: 'web',
  services: backs([WEB, [80, 8080]]),
});
const web = service({ name: 'web', addresses: [vip('10.96.0.1')] });
const waypointPod = workload({
  name: 'waypoint-1',
  addresses: [ip('10.0.0.9')],
  serviceAccount: 'waypoint',
  nativeTunnel: true,
  services: backs([WAYPOINT, [15008, 15008]]),
});
const waypointService = service({
  name: 'waypoint',
  addresses: [vip('10.96.0.9')],
  ports: ports([15008, 15008]),
});
const bound = waypointByHostname('shop', 'waypoint.shop.svc.cluster.local');

function mesh(...objects: readonly (Workload | Service)[]): MeshState {
  const state = new MeshState();
  for (const one of objects) {
    if ('uid' in one) state.upsertWorkload(one);
    else state.upsertService(one);
  }
  return state;
}

function decide(
  state: MeshState,
  to: string,
  fields: Partial<Omit<OutboundRequest, 'destination'>> & { port?: number } = {},
): OutboundDecision {
  const { port = 80, ...rest } = fields;
  return resolveOutbound(state, {
    source: client,
    destination: { ip: ip(to), port },
    network: '',
    random: () => 0,
    ...rest,
  });
}

function assertKind<K extends OutboundDecision['kind']>(
  decision: OutboundDecision,
  kind: K,
): asserts decision is Extract<OutboundDecision, { kind: K }> {
  assert.equal(
    decision.kind,
    kind,
    decision.kind === 'refused' ? decision.error.message : `it is ${decision.kind}`,
  );
}

function assertRefused(decision: OutboundDecision, code: string, message: string): void {
  assertKind(decision, 'refused');
  assert.equal(decision.error.code, code);
  assert.equal(decision.error.message, message);
}

test('a service is reached over HBONE at the pod, with the pod and its port as authority', () => {
  const decision = decide(mesh(web, server), '10.96.0.1');
  assertKind(decision, 'direct');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.2', port: 15008 });
  assert.equal(decision.authority, '10.0.0.2:8080');
  assert.deepEqual(decision.expectedIdentities, ['spiffe://cluster.local/ns/shop/sa/web']);
  assert.equal(decision.service?.name, 'web');
  assert.equal(decision.endpoint.name, 'server');
});

test('a pod on the same node is reached over HBONE like any other', () => {
  const decision = decide(mesh(web, { ...server, node: client.node }), '10.96.0.1');
  assertKind(decision, 'direct');
});

test('the identities of the service are accepted beside that of the workload, malformed ones are not', () => {
  const subjectAltNames = ['spiffe://other/ns/x/sa/y', 'web.example', 'spiffe://broken'];
  const decision = decide(mesh({ ...web, subjectAltNames }, server), '10.96.0.1');
  assertKind(decision, 'direct');
  assert.deepEqual(decision.expectedIdentities, [
    'spiffe://other/ns/x/sa/y',
    'spiffe://cluster.local/ns/shop/sa/web',
  ]);
});

test('an endpoint that takes no HBONE gets plain TCP at the target port', () => {
  const decision = decide(mesh(web, { ...server, tunnelProtocol: 'NONE' }), '10.96.0.1');
  assertKind(decision, 'plain');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.2', port: 8080 });
});

test('a pod is reached over HBONE by its own address and the asked port', () => {
  const decision = decide(mesh(server), '10.0.0.2', { port: 9999 });
  assertKind(decision, 'direct');
  assert.equal(decision.authority, '10.0.0.2:9999');
  assert.equal(decision.service, undefined);
});

test('an unhealthy pod is still reached by its own address', () => {
  assertKind(decide(mesh({ ...server, status: 'UNHEALTHY' }), '10.0.0.2'), 'direct');
});

test('what nobody knows is passed through in plain TCP', () => {
  const decision = decide(mesh(web, server), '8.8.8.8', { port: 443 });
  assertKind(decision, 'passthrough');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '8.8.8.8', port: 443 });
});

test('a service without endpoints refuses', () => {
  const text = 'no healthy upstream: 10.96.0.1:80';
  assertRefused(decide(mesh(web), '10.96.0.1'), 'AMBIT_NO_HEALTHY_UPSTREAM', text);
});

test('a port that the service does not have refuses, even if an endpoint maps it', () => {
  const state = mesh(web, { ...server, services: backs([WEB, [80, 8080], [81, 8081]]) });
  const text = 'no healthy upstream: 10.96.0.1:81';
  assertRefused(decide(state, '10.96.0.1', { port: 81 }), 'AMBIT_NO_HEALTHY_UPSTREAM', text);
});

test('a named port leads to what each endpoint calls by that name, and to none that has no such port', () => {
  const named = { ...web, ports: ports([80, 0]) };
  const without = workload({ name: 'without', addresses: [ip('10.0.0.3')], services: backs([WEB]) });
  const state = mesh(named, server, without);
  for (const random of [0, 0.5, 0.999]) {
    const decision = decide(state, '10.96.0.1', { random: () => random });
    assertKind(decision, 'direct');
    assert.equal(decision.authority, '10.0.0.2:8080');
  }
});

test('the mapping of an endpoint wins over that of the service', () => {
  const state = mesh(web, { ...server, services: backs([WEB, [80, 9000]]) });
  const decision = decide(state, '10.96.0.1');
  assertKind(decision, 'direct');
  assert.equal(decision.targetPort, 9000);
});

test('a client of another namespace passes by a service that it must not see', () => {
  const state = mesh({ ...web, visibility: 'NAMESPACE' }, server);
  const stranger = workload({ name: 'stranger', namespace: 'bank' });
  assertKind(decide(state, '10.96.0.1', { source: stranger }), 'passthrough');
  assertKind(decide(state, '10.96.0.1'), 'direct');
});

test('a service wins over a workload with the same address', () => {
  const shadow = workload({ name: 'shadow', addresses: [ip('10.96.0.1')] });
  const decision = decide(mesh(web, server, shadow), '10.96.0.1');
  assertKind(decision, 'direct');
  assert.equal(decision.endpoint.name, 'server');
});

// Load balancing

const STRICT_NODE = { mode: 'STRICT', routingPreference: ['NODE'], healthPolicy: 'ONLY_HEALTHY' } as const;

test('STRICT refuses when no endpoint agrees in every scope', () => {
  const state = mesh({ ...web, loadBalancing: STRICT_NODE }, { ...server, node: 'node-2' });
  assertKind(decide(state, '10.96.0.1'), 'refused');
  state.upsertWorkload({ ...server, node: 'node-1' });
  assertKind(decide(state, '10.96.0.1'), 'direct');
});

test('FAILOVER takes the endpoints that agree in most leading scopes and goes further only without them', () => {
  const loadBalancing = {
    mode: 'FAILOVER',
    routingPreference: ['REGION', 'ZONE'],
    healthPolicy: 'ONLY_HEALTHY',
  } as const;
  const at = (name: string, region: string, zone: string): Workload =>
    workload({
      name,
      addresses: [ip('10.0.1.1')],
      services: server.services,
      locality: { region, zone, subzone: '' },
    });
  const source = { ...client, locality: { region: 'eu', zone: 'a', subzone: '' } };
  // The zone of the third agrees, but scopes count only as long as all before them agree.
  const state = mesh(
    { ...web, loadBalancing },
    at('near', 'eu', 'a'),
    at('same-region', 'eu', 'b'),
    at('far', 'us', 'a'),
  );
  const names = (): Set<string> =>
    new Set(
      [0, 0.3, 0.6, 0.9].map((random) => {
        const decision = decide(state, '10.96.0.1', { source, random: () => random });
        assertKind(decision, 'direct');
        return decision.endpoint.name;
      }),
    );
  assert.deepEqual(names(), new Set(['near']));
  state.removeAddress('Kubernetes//Pod/shop/near');
  assert.deepEqual(names(), new Set(['same-region']));
  state.removeAddress('Kubernetes//Pod/shop/same-region');
  assert.deepEqual(names(), new Set(['far']));
});

test('endpoints are drawn in proportion to their capacity', () => {
  const state = mesh(
    web,
    { ...server, capacity: 3 },
    workload({ name: 'small', addresses: [ip('10.0.0.3')], services: server.services, capacity: 1 }),
  );
  const drawn = [0, 0.25, 0.5, 0.74, 0.75, 0.99].map((random) => {
    const decision = decide(state, '10.96.0.1', { random: () => random });
    assertKind(decision, 'direct');
    return decision.endpoint.name;
  });
  assert.deepEqual(drawn, ['server', 'server', 'server', 'server', 'small', 'small']);
});

test('PASSTHROUGH keeps the destination, whatever its port and endpoints', () => {
  const loadBalancing = { mode: 'PASSTHROUGH', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' } as const;
  const state = mesh({ ...web, addresses: [vip('10.0.0.0/8')], loadBalancing }, server);
  const decision = decide(state, '10.77.0.1', { port: 4444 });
  assertKind(decision, 'passthrough');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.77.0.1', port: 4444 });
  assert.equal(decision.service?.name, 'web');
});

test('PASSTHROUGH over a block that holds a pod of the mesh still reaches that pod over HBONE', () => {
  const loadBalancing = { mode: 'PASSTHROUGH', routingPreference: [], healthPolicy: 'ONLY_HEALTHY' } as const;
  const decision = decide(
    mesh({ ...web, addresses: [vip('10.0.0.0/8')], loadBalancing }, server),
    '10.0.0.2',
  );
  assertKind(decision, 'direct');
  assert.equal(decision.authority, '10.0.0.2:80');
});

// Address families

const dual = { ...server, addresses: [ip('10.0.0.2'), ip('fd00::2')] };

test('a dual-stack endpoint is dialled by the family that the client asked for', () => {
  const state = mesh({ ...web, addresses: [vip('10.96.0.1'), vip('fd00:96::1')] }, dual);
  const [four, six] = [decide(state, '10.96.0.1'), decide(state, 'fd00:96::1')];
  assertKind(four, 'direct');
  assertKind(six, 'direct');
  assert.equal(four.authority, '10.0.0.2:8080');
  assert.equal(six.authority, '[fd00::2]:8080');
});

test('a service of one family never leads to an address of the other', () => {
  const state = mesh({ ...web, ipFamilies: 'IPV6_ONLY' }, dual);
  const decision = decide(state, '10.96.0.1');
  assertKind(decision, 'direct');
  assert.equal(decision.authority, '[fd00::2]:8080');
  state.upsertWorkload(server);
  assertKind(decide(state, '10.96.0.1'), 'refused');
});

test('the address that was literally asked for is dialled when the workload owns it', () => {
  const decision = decide(mesh({ ...server, addresses: [ip('10.0.0.2'), ip('10.0.0.3')] }), '10.0.0.3');
  assertKind(decision, 'direct');
  assert.equal(decision.authority, '10.0.0.3:80');
});

test('an endpoint with a host name only is to be resolved, and then has an authority', () => {
  const named = { ...server, addresses: [], hostname: 'db.example' };
  const decision = decide(mesh(web, named), '10.96.0.1');
  assertKind(decision, 'direct');
  assert.deepEqual(decision.dial, {
    kind: 'hostname',
    hostname: 'db.example',
    port: 15008,
    preferredFamily: 4,
  });
  assert.equal(decision.authority, undefined);
  const resolved = withResolvedAddress(decision, ip('192.0.2.7'));
  assert.deepEqual(resolved.dial, { kind: 'address', ip: '192.0.2.7', port: 15008 });
  assert.equal(resolved.authority, '192.0.2.7:8080');
});

test('a plain endpoint with a host name only keeps its port when it is resolved', () => {
  const named: Workload = { ...server, addresses: [], hostname: 'db.example', tunnelProtocol: 'NONE' };
  const decision = decide(mesh(web, named), '10.96.0.1');
  assertKind(decision, 'plain');
  const resolved = withResolvedAddress(decision, ip('192.0.2.7'));
  assert.deepEqual(resolved.dial, { kind: 'address', ip: '192.0.2.7', port: 8080 });
  assert.equal(withResolvedAddress(resolved, ip('192.0.2.8')), resolved);
});

// Waypoints

test('traffic of a service with a waypoint goes there, with the virtual address as authority', () => {
  const decision = decide(
    mesh({ ...web, waypoint: bound }, server, waypointService, waypointPod),
    '10.96.0.1',
  );
  assertKind(decision, 'waypoint');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.9', port: 15008 });
  assert.equal(decision.authority, '10.96.0.1:80');
  assert.deepEqual(decision.expectedIdentities, ['spiffe://cluster.local/ns/shop/sa/waypoint']);
  assert.equal(decision.service?.name, 'web');
  assert.equal(decision.waypointService?.name, 'waypoint');
  assert.equal(decision.endpoint.name, 'waypoint-1');
});

test('a waypoint may be named by the virtual address of its service', () => {
  const waypoint = waypointByAddress('10.96.0.9');
  const decision = decide(mesh({ ...web, waypoint }, server, waypointService, waypointPod), '10.96.0.1');
  assertKind(decision, 'waypoint');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.9', port: 15008 });
});

test('a waypoint may be named by the address of its pod, at a port of its own', () => {
  const waypoint = waypointByAddress('10.0.0.9', '', 15018);
  const decision = decide(mesh({ ...web, waypoint }, server, waypointPod), '10.96.0.1');
  assertKind(decision, 'waypoint');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.9', port: 15018 });
});

test('a waypoint that is named by one of its addresses is dialled by that one', () => {
  const waypoint = waypointByAddress('10.0.0.10');
  const state = mesh({ ...web, waypoint }, server, {
    ...waypointPod,
    addresses: [ip('10.0.0.9'), ip('10.0.0.10')],
  });
  const decision = decide(state, '10.96.0.1');
  assertKind(decision, 'waypoint');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.10', port: 15008 });
});

test('a waypoint may be a workload that is known by a host name', () => {
  const waypoint = waypointByHostname('shop', 'waypoint.example', 0);
  const named = workload({ name: 'vm', hostname: 'waypoint.example' });
  const decision = decide(mesh({ ...web, waypoint }, server, named), '10.96.0.1');
  assertKind(decision, 'waypoint');
  assert.deepEqual(decision.dial, {
    kind: 'hostname',
    hostname: 'waypoint.example',
    port: 15008,
    preferredFamily: 4,
  });
  assert.equal(decision.authority, '10.96.0.1:80');
});

test('a waypoint that is bound and unknown refuses, it is never gone around', () => {
  const text = 'unknown waypoint: waypoint waypoint.shop.svc.cluster.local not found';
  assertRefused(
    decide(mesh({ ...web, waypoint: bound }, server), '10.96.0.1'),
    'AMBIT_UNKNOWN_WAYPOINT',
    text,
  );
});

test('a waypoint that is bound and has no healthy endpoint refuses, it is never gone around', () => {
  const sick = { ...waypointPod, status: 'UNHEALTHY' as const };
  const text = 'unknown waypoint: waypoint waypoint.shop.svc.cluster.local has no usable endpoint';
  const state = mesh({ ...web, waypoint: bound }, server, waypointService, sick);
  assertRefused(decide(state, '10.96.0.1'), 'AMBIT_UNKNOWN_WAYPOINT', text);
});

test('a waypoint whose endpoints were all tried refuses, it is never gone around', () => {
  const state = mesh({ ...web, waypoint: bound }, server, waypointService, waypointPod);
  assertKind(decide(state, '10.96.0.1', { exclude: new Set([waypointPod.uid]) }), 'refused');
});

test('a service without a waypoint goes direct while another has one', () => {
  const decision = decide(mesh(web, server, waypointService, waypointPod), '10.96.0.1');
  assertKind(decision, 'direct');
});

test('a waypoint that calls the service it serves goes to the endpoints', () => {
  const state = mesh({ ...web, waypoint: bound }, server, waypointService, waypointPod);
  assertKind(decide(state, '10.96.0.1', { source: waypointPod }), 'direct');
});

test('traffic to a pod with a waypoint goes there, with the address of the pod as authority', () => {
  const decision = decide(mesh({ ...server, waypoint: bound }, waypointService, waypointPod), '10.0.0.2');
  assertKind(decision, 'waypoint');
  assert.equal(decision.authority, '10.0.0.2:80');
  assert.equal(decision.service, undefined);
});

test('traffic to a pod whose waypoint cannot be resolved refuses', () => {
  assertKind(decide(mesh({ ...server, waypoint: bound }), '10.0.0.2'), 'refused');
});

test('a waypoint that calls a pod it serves reaches the pod itself', () => {
  const state = mesh({ ...server, waypoint: bound }, waypointService, waypointPod);
  assertKind(decide(state, '10.0.0.2', { source: waypointPod }), 'direct');
});

test('the waypoint of a workload does not matter to traffic that is addressed to its service', () => {
  const decision = decide(
    mesh(web, { ...server, waypoint: bound }, waypointService, waypointPod),
    '10.96.0.1',
  );
  assertKind(decision, 'direct');
});

test('a sandwiched waypoint takes HBONE on a port that its service does not have', () => {
  const sandwiched: Workload = {
    ...waypointPod,
    applicationTunnel: { protocol: 'PROXY', port: 15088 },
    services: backs([WAYPOINT]),
  };
  const state = mesh({ ...web, waypoint: bound }, server, { ...waypointService, ports: [] }, sandwiched);
  const decision = decide(state, '10.96.0.1');
  assertKind(decision, 'waypoint');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.9', port: 15008 });
});

test('weighted waypoints are drawn by weight, and the plain one serves when none has any', () => {
  const canary = workload({ name: 'canary', addresses: [ip('10.0.0.10')] });
  const weighted = (stable: number, other: number): Service => ({
    ...web,
    waypoint: bound,
    weightedWaypoints: [
      { destination: bound, weight: stable },
      { destination: waypointByAddress('10.0.0.10'), weight: other },
    ],
  });
  const state = mesh(weighted(90, 10), server, waypointService, waypointPod, canary);
  const drawn = (random: number): string => {
    const decision = decide(state, '10.96.0.1', { random: () => random });
    assertKind(decision, 'waypoint');
    return decision.endpoint.name;
  };
  assert.deepEqual([0, 0.89, 0.91, 0.99].map(drawn), ['waypoint-1', 'waypoint-1', 'canary', 'canary']);
  state.upsertService(weighted(0, 0));
  assert.deepEqual([0, 0.99].map(drawn), ['waypoint-1', 'waypoint-1']);
  assertKind(decide(state, '10.96.0.1', { source: canary }), 'direct');
});

// Several networks

const gateway = workload({
  name: 'east-west',
  uid: 'NetworkGateway/west/10.0.0.20/15008',
  namespace: 'istio-system',
  addresses: [ip('10.0.0.20')],
  serviceAccount: 'gateway',
});
const remote = workload({
  name: 'remote',
  uid: 'west/SplitHorizonWorkload/istio-system/gw/shop/web.shop.svc.cluster.local',
  network: 'west',
  networkGateway: waypointByAddress('10.0.0.20'),
  services: backs([WEB, [80, 8080]]),
  capacity: 3,
});

test('an endpoint on another network is reached by double HBONE, with the host name as both authorities', () => {
  const subjectAltNames = ['spiffe://west/ns/shop/sa/web'];
  const decision = decide(mesh({ ...web, subjectAltNames }, remote, gateway), '10.96.0.1');
  assertKind(decision, 'gateway');
  assert.deepEqual(decision.dial, { kind: 'address', ip: '10.0.0.20', port: 15008 });
  assert.equal(decision.authority, 'web.shop.svc.cluster.local:80');
  assert.deepEqual(decision.expectedIdentities, ['spiffe://cluster.local/ns/istio-system/sa/gateway']);
  assert.deepEqual(decision.inner, {
    authority: 'web.shop.svc.cluster.local:80',
    expectedIdentities: subjectAltNames,
    forwardedNetwork: '',
  });
  assert.equal(decision.remote.name, 'remote');
  assert.equal(decision.endpoint.name, 'east-west');
  assert.equal(decision.service.name, 'web');
});

test('a network gateway may be named by host name', () => {
  const name = 'istio-system/gw.istio-system.svc.cluster.local';
  const networkGateway = waypointByHostname('istio-system', 'gw.istio-system.svc.cluster.local');
  const gw = service({ name: 'gw', namespace: 'istio-system', ports: ports([15008, 15008]) });
  const state = mesh(
    web,
    { ...remote, networkGateway },
    { ...gateway, services: backs([name, [15008, 15008]]) },
    gw,
  );
  const decision = decide(state, '10.96.0.1');
  assertKind(decision, 'gateway');
  assert.equal(decision.endpoint.name, 'east-west');
});

test('an unknown network gateway refuses', () => {
  const text = 'unknown network gateway: network gateway /10.0.0.20 not found';
  assertRefused(decide(mesh(web, remote), '10.96.0.1'), 'AMBIT_UNKNOWN_NETWORK_GATEWAY', text);
});

test('an endpoint on another network without gateway refuses', () => {
  const lost = { ...remote, addresses: [ip('10.1.0.1')], networkGateway: undefined };
  const text = 'no valid routing destination for workload: remote';
  assertRefused(decide(mesh(web, lost), '10.96.0.1'), 'AMBIT_NO_VALID_DESTINATION', text);
});

test('the gateway of a workload on our own network is never used', () => {
  const local = { ...remote, network: '' };
  assertRefused(
    decide(mesh(web, local, gateway), '10.96.0.1'),
    'AMBIT_NO_HEALTHY_UPSTREAM',
    'no healthy upstream: 10.96.0.1:80',
  );
});

test('a waypoint on another network is reached by double HBONE, the inner peer being the waypoint', () => {
  const away: Workload = {
    ...waypointPod,
    addresses: [],
    network: 'west',
    networkGateway: waypointByAddress('10.0.0.20'),
  };
  const sans = ['spiffe://west/ns/shop/sa/waypoint'];
  const state = mesh(
    { ...web, waypoint: bound },
    server,
    { ...waypointService, subjectAltNames: sans },
    away,
    gateway,
  );
  const decision = decide(state, '10.96.0.1');
  assertKind(decision, 'gateway');
  assert.equal(decision.authority, 'web.shop.svc.cluster.local:80');
  assert.deepEqual(decision.inner.expectedIdentities, sans);
});

// Another attempt

test('an endpoint whose dial failed is not tried again', () => {
  const other = workload({ name: 'other', addresses: [ip('10.0.0.3')], services: server.services });
  const state = mesh(web, server, other);
  for (const random of [0, 0.4, 0.6, 0.99]) {
    const decision = decide(state, '10.96.0.1', { random: () => random, exclude: new Set([server.uid]) });
    assertKind(decision, 'direct');
    assert.equal(decision.endpoint.name, 'other');
  }
  assertKind(decide(state, '10.96.0.1', { exclude: new Set([server.uid, other.uid]) }), 'refused');
});

test('when the nearest endpoints were tried FAILOVER goes on to the next', () => {
  const loadBalancing = {
    mode: 'FAILOVER',
    routingPreference: ['NODE'],
    healthPolicy: 'ONLY_HEALTHY',
  } as const;
  const far = workload({
    name: 'far',
    addresses: [ip('10.0.0.3')],
    services: server.services,
    node: 'node-2',
  });
  const state = mesh({ ...web, loadBalancing }, server, far);
  const decision = decide(state, '10.96.0.1', { exclude: new Set([server.uid]) });
  assertKind(decision, 'direct');
  assert.equal(decision.endpoint.name, 'far');
});

test('when the gateway of one network was tried an endpoint elsewhere is taken', () => {
  const state = mesh(web, remote, gateway, server);
  const decision = decide(state, '10.96.0.1', { exclude: new Set([gateway.uid]) });
  assertKind(decision, 'direct');
  assert.equal(decision.endpoint.name, 'server');
});

test('a pod that was called by its address and could not be dialled has no substitute', () => {
  assertKind(decide(mesh(server), '10.0.0.2', { exclude: new Set([server.uid]) }), 'refused');
});

test('clients in different places are served from one service, each by its own ranking', () => {
  const loadBalancing = {
    mode: 'FAILOVER',
    routingPreference: ['NODE'],
    healthPolicy: 'ONLY_HEALTHY',
  } as const;
  const state = mesh({ ...web, loadBalancing });
  const nodes = Array.from({ length: 600 }, (_, i) => `node-${i}`);
  for (const node of nodes) {
    state.upsertWorkload(
      workload({ name: `s-${node}`, node, addresses: [ip('10.0.2.2')], services: server.services }),
    );
  }
  for (const node of [...nodes, ...nodes]) {
    const decision = decide(state, '10.96.0.1', { source: { ...client, node } });
    assertKind(decision, 'direct');
    assert.equal(decision.endpoint.node, node);
  }
});
