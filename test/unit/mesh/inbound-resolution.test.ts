import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConnectTarget } from '../../../src/hbone/connect-target.ts';
import {
  ILLEGAL_PORTS,
  type InboundDecision,
  type InboundForward,
  type InboundRequest,
  resolveInbound,
  serviceOfInbound,
} from '../../../src/mesh/inbound-resolution.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
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

const POD = ip('10.0.0.2');
const WEB = 'shop/web.shop.svc.cluster.local';
const WAYPOINT = 'shop/waypoint.shop.svc.cluster.local';
const server = workload({ name: 'server', addresses: [POD], services: backs([WEB, [80, 8080]]) });
const web = service({ name: 'web', addresses: [vip('10.96.0.1')] });
const waypointPod = workload({ name: 'waypoint', addresses: [POD], services: backs([WAYPOINT]) });
const waypointService = service({ name: 'waypoint', addresses: [vip('10.96.0.9')] });
const bound = waypointByHostname('shop', 'waypoint.shop.svc.cluster.local');

function mesh(...objects: readonly (Workload | Service)[]): MeshState {
  const state = new MeshState();
  for (const one of objects) {
    if ('uid' in one) state.upsertWorkload(one);
    else state.upsertService(one);
  }
  return state;
}

function resolve(state: MeshState, authority: string, fields: Partial<InboundRequest> = {}): InboundDecision {
  return resolveInbound(state, {
    target: parseConnectTarget(authority)!,
    local: server,
    localIp: POD,
    network: '',
    illegalPorts: ILLEGAL_PORTS,
    ...fields,
  });
}

function forwarded(decision: InboundDecision): InboundForward {
  assert.equal(decision.kind, 'forward', decision.kind === 'refused' ? decision.error.message : '');
  return decision as InboundForward;
}

function assertRefused(decision: InboundDecision, status: number, message: string): void {
  assert.equal(decision.kind, 'refused');
  if (decision.kind !== 'refused') return;
  assert.equal(decision.error.message, message);
  assert.equal(decision.status, status);
}

test('a tunnel to the address of the pod leads to the asked port', () => {
  const decision = forwarded(resolve(mesh(web, server), '10.0.0.2:8080'));
  assert.deepEqual(decision.dial, { ip: POD, port: 8080 });
  assert.deepEqual(decision.policyDestination, { ip: POD, port: 8080 });
  assert.equal(decision.proxyProtocol, undefined);
  assert.equal(decision.service?.name, 'web');
});

test('a tunnel to an IPv6 address of the pod leads there', () => {
  const local = { ...server, addresses: [ip('fd00::2')] };
  const decision = forwarded(resolve(mesh(local), '[fd00:0::2]:8080', { local, localIp: ip('fd00::2') }));
  assert.deepEqual(decision.dial, { ip: 'fd00::2', port: 8080 });
});

test('a tunnel that did not come from the waypoint is taken all the same', () => {
  const decision = resolve(
    mesh({ ...web, waypoint: bound }, { ...server, waypoint: bound }),
    '10.0.0.2:8080',
  );
  assert.equal(decision.kind, 'forward');
});

test('another address than that of the pod is refused with 400', () => {
  assertRefused(resolve(mesh(server), '10.0.0.3:8080'), 400, 'ip mismatch: 10.0.0.2 != 10.0.0.3');
});

test('a pod that is not described yet is refused with 503', () => {
  assertRefused(resolve(mesh(), '10.0.0.2:8080', { local: undefined }), 503, 'local workload not found');
});

test('the ports of the proxy itself are refused with 503, also when a service maps to one', () => {
  const state = mesh({ ...web, ports: ports([80, 15008]) }, { ...server, services: backs([WEB]) });
  const local = state.workloadByUid(server.uid)!;
  for (const authority of [
    '10.0.0.2:15001',
    '10.0.0.2:15006',
    '10.0.0.2:15008',
    'web.shop.svc.cluster.local:80',
  ]) {
    assertRefused(resolve(state, authority, { local }), 503, 'attempted recursive call to ourselves');
  }
});

test('a host name leads to the port that the pod serves the service port at', () => {
  const decision = forwarded(resolve(mesh(web, server), 'web.shop.svc.cluster.local:80'));
  assert.deepEqual(decision.dial, { ip: POD, port: 8080 });
  assert.equal(decision.service?.name, 'web');
});

test('a host name leads to the port of the service when the pod has no mapping of its own', () => {
  const local = { ...server, services: backs([WEB]) };
  const state = mesh({ ...web, ports: ports([80, 9090]) }, local);
  assert.equal(forwarded(resolve(state, 'WEB.shop.svc.cluster.local:80', { local })).dial.port, 9090);
});

test('an unknown host name is refused with 503', () => {
  const text = 'no service or workload for hostname: other.example';
  assertRefused(resolve(mesh(web, server), 'other.example:80'), 503, text);
});

test('a named port that the pod does not have is refused with 503', () => {
  const local = { ...server, services: backs([WEB]) };
  const state = mesh({ ...web, ports: ports([80, 0]) }, local);
  const text = 'requested service web.shop.svc.cluster.local:80 found, but cannot resolve port';
  assertRefused(resolve(state, 'web.shop.svc.cluster.local:80', { local }), 503, text);
});

test('of several services of a host name the one that the pod backs is meant', () => {
  const shared = { hostname: 'api.example', ports: ports([80, 1111]) };
  const own = service({ name: 'api', namespace: 'bank', ...shared, canonical: false });
  const other = service({ name: 'api', namespace: 'shop', ...shared, ports: ports([80, 2222]) });
  const local = { ...server, services: backs(['bank/api.example']) };
  assert.equal(forwarded(resolve(mesh(own, other, local), 'api.example:80', { local })).dial.port, 1111);
});

// Waypoints behind ztunnel

test('a waypoint takes tunnels to the services and pods that are bound to it, at its own address', () => {
  const pod = workload({ name: 'p', addresses: [ip('10.0.0.7')], waypoint: waypointByAddress('10.0.0.2') });
  const state = mesh({ ...web, waypoint: bound }, waypointService, waypointPod, pod);
  for (const authority of ['10.96.0.1:80', '10.0.0.7:80']) {
    const decision = forwarded(resolve(state, authority, { local: waypointPod }));
    assert.deepEqual(decision.dial, { ip: POD, port: 80 });
  }
});

test('a waypoint takes tunnels to a service that is bound to it by weight', () => {
  const weightedWaypoints = [{ destination: bound, weight: 1 }];
  const state = mesh({ ...web, weightedWaypoints }, waypointService, waypointPod);
  forwarded(resolve(state, '10.96.0.1:80', { local: waypointPod }));
});

test('a waypoint refuses tunnels to what is bound to another waypoint or to none', () => {
  const elsewhere = { ...web, waypoint: waypointByAddress('10.0.0.77') };
  for (const one of [web, elsewhere]) {
    const decision = resolve(mesh(one, waypointService, waypointPod), '10.96.0.1:80', { local: waypointPod });
    assertRefused(decision, 400, 'ip mismatch: 10.0.0.2 != 10.96.0.1');
  }
});

const sandwiched: Workload = { ...waypointPod, applicationTunnel: { protocol: 'PROXY', port: 15088 } };

test('an application that takes PROXY gets the asked destination in the header, over loopback', () => {
  const decision = forwarded(resolve(mesh(web, sandwiched), '10.96.0.1:80', { local: sandwiched }));
  assert.deepEqual(decision.dial, { ip: '127.0.0.1', port: 15088 });
  assert.deepEqual(decision.policyDestination, { ip: POD, port: 15088 });
  assert.deepEqual(decision.proxyProtocol, { destination: { ip: '10.96.0.1', port: 80 } });
});

test('an application that takes PROXY on no port of its own gets the asked port, over the loopback of its family', () => {
  const local: Workload = { ...sandwiched, applicationTunnel: { protocol: 'PROXY', port: 0 } };
  const decision = forwarded(resolve(mesh(local), '10.96.0.1:80', { local, localIp: ip('fd00::2') }));
  assert.deepEqual(decision.dial, { ip: '::1', port: 80 });
});

test('a host name in a PROXY header becomes an address of the service: our network first, then IPv4', () => {
  const addresses = [vip('10.1.1.1', 'west'), vip('fd00:96::1'), vip('10.96.0.1')];
  const state = mesh({ ...web, addresses }, sandwiched);
  const decision = forwarded(resolve(state, 'web.shop.svc.cluster.local:80', { local: sandwiched }));
  assert.deepEqual(decision.proxyProtocol, { destination: { ip: '10.96.0.1', port: 80 } });
});

test('a host name of a service without address cannot be put in a PROXY header: 503', () => {
  const state = mesh({ ...web, addresses: [] }, sandwiched);
  const text = 'requested service web.shop.svc.cluster.local found, but has no IP addresses';
  assertRefused(resolve(state, 'web.shop.svc.cluster.local:80', { local: sandwiched }), 503, text);
});

test('an application tunnel without protocol changes the port only', () => {
  const local: Workload = { ...waypointPod, applicationTunnel: { protocol: 'NONE', port: 9000 } };
  const decision = forwarded(resolve(mesh(local), '10.96.0.1:80', { local }));
  assert.deepEqual(decision.dial, { ip: POD, port: 9000 });
  assert.equal(decision.proxyProtocol, undefined);
});

// Which service was meant

const api = service({ name: 'api', ports: ports([80, 8080]) });
const both = {
  ...server,
  services: backs([WEB, [80, 8080]], ['shop/api.shop.svc.cluster.local', [80, 8080]]),
};

test('the peer may say which of the services of the pod it meant', () => {
  const state = mesh(web, api, both);
  const named = (forwardedHost: string): string | undefined =>
    forwarded(resolve(state, '10.0.0.2:8080', { local: both, forwardedHost })).service?.name;
  assert.equal(named('api.shop.svc.cluster.local'), 'api');
  assert.equal(named('web.shop.svc.cluster.local'), 'web');
});

test('a service that the pod does not back is not believed', () => {
  const state = mesh(web, api, server);
  const decision = forwarded(
    resolve(state, '10.0.0.2:8080', { forwardedHost: 'api.shop.svc.cluster.local' }),
  );
  assert.equal(decision.service?.name, 'web');
});

test('without a hint the first service that leads to the port is meant, and none when none does', () => {
  const state = mesh({ ...web, ports: ports([80, 0]) }, server);
  assert.equal(serviceOfInbound(state, server, 8080)?.name, 'web');
  assert.equal(serviceOfInbound(state, server, 9999), undefined);
  assert.equal(serviceOfInbound(state, workload({ name: 'lonely' }), 8080), undefined);
});
