import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import type { Service } from '../../../src/mesh/service.ts';
import { backs, ip, service, vip, workload } from './builders.ts';

const VIP = ip('10.96.0.1');

function meshOf(...services: readonly Service[]): MeshState {
  const state = new MeshState();
  for (const one of services) state.upsertService(one);
  return state;
}

/** An egress destination: several namespaces may declare the same host and address. */
function entry(namespace: string, fields: Partial<Service> = {}): Service {
  return service({
    name: 'api',
    namespace,
    hostname: 'api.example.com',
    addresses: [vip('10.96.0.1')],
    canonical: false,
    ...fields,
  });
}

function namespaceAt(state: MeshState, client: string, address = VIP): string | undefined {
  return state.serviceByVip('', address, client)?.namespace;
}

test('of several services with one address the one in the namespace of the client is meant', () => {
  const state = meshOf(entry('a', { canonical: true }), entry('b'), entry('c'));
  assert.equal(namespaceAt(state, 'b'), 'b');
  assert.equal(state.serviceByHostname('api.example.com', 'c')?.namespace, 'c');
});

test('without one in the namespace of the client the canonical service is meant', () => {
  const state = meshOf(entry('a'), entry('b', { canonical: true }), entry('c'));
  assert.equal(namespaceAt(state, 'elsewhere'), 'b');
  assert.equal(state.serviceByHostname('api.example.com', 'elsewhere')?.namespace, 'b');
});

test('without a canonical service the first by name is meant, in whatever order they came', () => {
  assert.equal(namespaceAt(meshOf(entry('a'), entry('b')), 'elsewhere'), 'a');
  assert.equal(namespaceAt(meshOf(entry('b'), entry('a')), 'elsewhere'), 'a');
});

test('a service that is visible in its namespace only does not exist for others', () => {
  const state = meshOf(entry('a', { visibility: 'NAMESPACE', canonical: true }), entry('b'));
  assert.equal(namespaceAt(state, 'a'), 'a');
  assert.equal(namespaceAt(state, 'elsewhere'), 'b');
  assert.equal(state.serviceByHostname('api.example.com', 'elsewhere')?.namespace, 'b');
  state.removeAddress('b/api.example.com');
  assert.equal(namespaceAt(state, 'elsewhere'), undefined);
  assert.equal(state.serviceByHostname('api.example.com', 'elsewhere'), undefined);
  assert.equal(state.serviceByHostname('api.example.com')?.namespace, 'a');
});

test('a service keeps its address when it is sent again and gives it up when it is sent without', () => {
  const state = meshOf(entry('a'), entry('a'));
  assert.equal(namespaceAt(state, 'a'), 'a');
  state.upsertService(entry('a', { addresses: [vip('10.96.0.2')] }));
  assert.equal(namespaceAt(state, 'a'), undefined);
  assert.equal(namespaceAt(state, 'a', ip('10.96.0.2')), 'a');
});

test('an address of a service is looked up on its own network only', () => {
  const state = meshOf(entry('a', { addresses: [vip('10.96.0.1', 'west')] }));
  assert.equal(namespaceAt(state, 'a'), undefined);
  assert.equal(state.serviceByVip('west', VIP, 'a')?.namespace, 'a');
});

test('an exact address wins over every block that holds it', () => {
  const state = meshOf(entry('a', { addresses: [vip('10.96.0.1/32')] }), entry('b'));
  assert.equal(namespaceAt(state, 'a'), 'b');
});

test('of several blocks the longest is meant', () => {
  const state = meshOf(
    entry('a', { addresses: [vip('10.0.0.0/8')], canonical: true }),
    entry('b', { addresses: [vip('10.96.0.0/16')] }),
  );
  assert.equal(namespaceAt(state, 'elsewhere'), 'b');
  assert.equal(namespaceAt(state, 'elsewhere', ip('10.1.1.1')), 'a');
});

test('a block in the namespace of the client wins over a longer one elsewhere', () => {
  const state = meshOf(
    entry('a', { addresses: [vip('10.0.0.0/8')] }),
    entry('b', { addresses: [vip('10.96.0.0/16')] }),
  );
  assert.equal(namespaceAt(state, 'a'), 'a');
});

test('of two services with the same block the canonical one is meant', () => {
  const state = meshOf(
    entry('a', { addresses: [vip('10.0.0.0/8')] }),
    entry('b', { addresses: [vip('10.0.0.0/8')], canonical: true }),
  );
  assert.equal(namespaceAt(state, 'elsewhere'), 'b');
});

test('blocks of IPv6 addresses are told apart down to the last bit', () => {
  const state = meshOf(
    entry('a', { addresses: [vip('2001:db8::/127')] }),
    entry('b', { addresses: [vip('2001:db8::2/127')] }),
  );
  assert.equal(namespaceAt(state, 'elsewhere', ip('2001:db8::1')), 'a');
  assert.equal(namespaceAt(state, 'elsewhere', ip('2001:db8::3')), 'b');
  assert.equal(namespaceAt(state, 'elsewhere', ip('2001:db8::4')), undefined);
});

test('a block written with other host bits is the same block', () => {
  const state = meshOf(entry('a', { addresses: [vip('10.1.2.3/8')] }));
  state.upsertService(entry('a', { addresses: [vip('10.0.0.0/8')] }));
  assert.equal(namespaceAt(state, 'a', ip('10.200.0.1')), 'a');
});

test('endpoints that come before their service are staged and then serve it', () => {
  const state = new MeshState();
  state.upsertWorkload(
    workload({ name: 'w', services: backs(['shop/web.shop.svc.cluster.local', [80, 8080]]) }),
  );
  assert.deepEqual([...state.stagedServices().keys()], ['shop/web.shop.svc.cluster.local']);
  const web = service({ name: 'web' });
  state.upsertService(web);
  assert.equal(state.stagedServices().size, 0);
  assert.deepEqual(
    state.endpointsOf(web).map((one) => one.name),
    ['w'],
  );
});

test('endpoints outlive the removal of their service, staged for its return', () => {
  const web = service({ name: 'web' });
  const state = meshOf(web);
  state.upsertWorkload(workload({ name: 'w', services: backs(['shop/web.shop.svc.cluster.local']) }));
  state.removeAddress('shop/web.shop.svc.cluster.local');
  assert.deepEqual(state.endpointsOf(web).length, 1);
  assert.equal(state.serviceByName('shop/web.shop.svc.cluster.local'), undefined);
  state.upsertService(web);
  assert.deepEqual(state.endpointsOf(web).length, 1);
});

test('a workload that no longer names a service is no endpoint of it', () => {
  const web = service({ name: 'web' });
  const state = meshOf(web);
  state.upsertWorkload(workload({ name: 'w', services: backs(['shop/web.shop.svc.cluster.local']) }));
  state.upsertWorkload(workload({ name: 'w' }));
  assert.deepEqual(state.endpointsOf(web), []);
});

test('an endpoint that becomes unhealthy, as a terminating pod does, leaves the service at once', () => {
  const web = service({ name: 'web' });
  const state = meshOf(web);
  const services = backs(['shop/web.shop.svc.cluster.local']);
  state.upsertWorkload(workload({ name: 'w', services }));
  assert.equal(state.endpointsOf(web).length, 1);
  state.upsertWorkload(workload({ name: 'w', services, status: 'UNHEALTHY' }));
  assert.equal(state.endpointsOf(web).length, 0);
  assert.equal(state.endpointCount(web), 1);
});

test('unhealthy endpoints serve a service as soon as it allows them, and stop when it no longer does', () => {
  const web = service({ name: 'web' });
  const state = meshOf(web);
  const services = backs(['shop/web.shop.svc.cluster.local']);
  state.upsertWorkload(workload({ name: 'w', services, status: 'UNHEALTHY' }));
  const loadBalancing = { routingPreference: [], mode: 'UNSPECIFIED', healthPolicy: 'ALLOW_ALL' } as const;
  state.upsertService({ ...web, loadBalancing });
  assert.equal(state.endpointsOf(web).length, 1);
  state.upsertService(web);
  assert.equal(state.endpointsOf(web).length, 0);
});
