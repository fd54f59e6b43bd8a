import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DnsClient, type DnsResolution, resolveDnsName } from '../../../src/mesh/dns-resolution.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import type { Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { backs, ip, service, vip, workload } from './builders.ts';

const client: DnsClient = { namespace: 'shop', network: '', clusterDomain: 'cluster.local' };
const web = service({ name: 'web', addresses: [vip('10.96.0.1')] });
const db = service({ name: 'db', namespace: 'bank', addresses: [vip('10.96.0.2')] });

function mesh(...objects: readonly (Workload | Service)[]): MeshState {
  const state = new MeshState();
  for (const one of objects) {
    if ('uid' in one) state.upsertWorkload(one);
    else state.upsertService(one);
  }
  return state;
}

function ask(state: MeshState, name: string, fields: Partial<DnsClient> = {}): DnsResolution {
  return resolveDnsName(state, name, { ...client, ...fields });
}

function answer(v4: readonly string[], v6: readonly string[] = [], canonicalName?: string): DnsResolution {
  const addresses = { kind: 'addresses', v4: v4.map(ip), v6: v6.map(ip) } as const;
  return canonicalName === undefined ? addresses : { ...addresses, canonicalName };
}

const FORWARD: DnsResolution = { kind: 'forward' };

test('a service answers to every name that Kubernetes gives it', () => {
  const state = mesh(web, db);
  for (const name of [
    'web',
    'web.shop',
    'web.shop.svc',
    'web.shop.svc.cluster.local',
    'WEB.shop.svc.cluster.local.',
  ]) {
    assert.deepEqual(ask(state, name), answer(['10.96.0.1']), name);
  }
  for (const name of ['db.bank', 'db.bank.svc', 'db.bank.svc.cluster.local']) {
    assert.deepEqual(ask(state, name), answer(['10.96.0.2']), name);
  }
});

test('a short name is completed with the namespace of the client only', () => {
  assert.deepEqual(ask(mesh(web, db), 'db'), FORWARD);
  assert.deepEqual(ask(mesh(web, db), 'db', { namespace: 'bank' }), answer(['10.96.0.2']));
});

test('a name below a headless service is completed by its labels', () => {
  const pod = service({
    name: 'pod',
    hostname: 'pod.set.shop.svc.cluster.local',
    addresses: [vip('10.96.0.7')],
  });
  for (const name of ['pod.set', 'pod.set.shop', 'pod.set.shop.svc']) {
    assert.deepEqual(ask(mesh(pod), name), answer(['10.96.0.7']), name);
  }
});

test('names with five labels and more are not completed', () => {
  const deep = service({
    name: 'deep',
    hostname: 'a.b.c.d.svc.svc.cluster.local',
    addresses: [vip('10.96.0.8')],
  });
  assert.deepEqual(ask(mesh(deep), 'a.b.c.d.svc'), FORWARD);
});

test('a name that is not known is forwarded', () => {
  assert.deepEqual(ask(mesh(web), 'www.example.com'), FORWARD);
  assert.deepEqual(ask(mesh(web), 'other.shop.svc.cluster.local'), FORWARD);
});

const external = service({
  name: 'api',
  hostname: 'api.example.com',
  addresses: [vip('240.240.0.1')],
  canonical: false,
});

test('an external name to which the resolver appended a search domain is an alias of the bare one', () => {
  for (const domain of ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local']) {
    const expected = answer(['240.240.0.1'], [], 'api.example.com');
    assert.deepEqual(ask(mesh(external), `api.example.com.${domain}`), expected, domain);
  }
});

test('a service name to which a search domain was appended once more is an alias of the stripped one', () => {
  const expected = answer(['10.96.0.1'], [], 'web.shop');
  assert.deepEqual(ask(mesh(web), 'web.shop.shop.svc.cluster.local'), expected);
});

test('a search domain of another namespace is not stripped', () => {
  assert.deepEqual(ask(mesh(external), 'api.example.com.bank.svc.cluster.local'), FORWARD);
});

test("the pod's own search domains are stripped as well", () => {
  const searchDomains = ['corp.example', 'Lab.Example.'];
  for (const domain of ['corp.example', 'lab.example']) {
    const expected = answer(['240.240.0.1'], [], 'api.example.com');
    assert.deepEqual(ask(mesh(external), `api.example.com.${domain}`, { searchDomains }), expected);
  }
  assert.deepEqual(ask(mesh(external), 'api.example.com.corp.example'), FORWARD);
});

test("a host under the pod's own search domain is never mistaken for a service of the cluster", () => {
  const searchDomains = ['corp.example'];
  for (const name of ['web.corp.example', 'web.shop.corp.example', 'web.shop.svc.corp.example']) {
    assert.deepEqual(ask(mesh(web), name, { searchDomains }), FORWARD, name);
  }
});

test('a wildcard host answers for names below it, the longest first, and is no alias', () => {
  const wildcard = (hostname: string, address: string): Service =>
    service({ name: hostname, hostname, addresses: [vip(address)] });
  const state = mesh(wildcard('*.example.com', '240.240.0.2'), wildcard('*.eu.example.com', '240.240.0.3'));
  assert.deepEqual(ask(state, 'a.example.com'), answer(['240.240.0.2']));
  assert.deepEqual(ask(state, 'a.eu.example.com'), answer(['240.240.0.3']));
  assert.deepEqual(ask(state, 'b.a.eu.example.com'), answer(['240.240.0.3']));
  assert.deepEqual(ask(state, 'example.com'), FORWARD);
  assert.deepEqual(ask(state, 'a.example.com.svc.cluster.local'), answer(['240.240.0.2']));
});

test('of several services of a name: own namespace, then canonical, then the first by name', () => {
  const of = (namespace: string, address: string, canonical = false): Service => ({
    ...external,
    namespace,
    addresses: [vip(address)],
    canonical,
  });
  const state = mesh(of('a', '240.0.0.1'), of('b', '240.0.0.2', true), of('c', '240.0.0.3'));
  assert.deepEqual(ask(state, 'api.example.com', { namespace: 'c' }), answer(['240.0.0.3']));
  assert.deepEqual(ask(state, 'api.example.com'), answer(['240.0.0.2']));
  state.removeAddress('b/api.example.com');
  assert.deepEqual(ask(state, 'api.example.com'), answer(['240.0.0.1']));
});

test('a service that is visible in its namespace only is not resolved for others', () => {
  const hidden = { ...db, visibility: 'NAMESPACE' } as const;
  assert.deepEqual(ask(mesh(hidden), 'db.bank'), FORWARD);
  assert.deepEqual(ask(mesh(hidden), 'db', { namespace: 'bank' }), answer(['10.96.0.2']));
});

test('only addresses on the network of the client are told, and a name without any is still known', () => {
  const state = mesh({ ...web, addresses: [vip('10.96.0.1'), vip('10.97.0.1', 'west')] });
  assert.deepEqual(ask(state, 'web'), answer(['10.96.0.1']));
  assert.deepEqual(ask(state, 'web', { network: 'west' }), answer(['10.97.0.1']));
  assert.deepEqual(ask(state, 'web', { network: 'east' }), answer([]));
});

test('addresses are told by family, as far as the service has that family', () => {
  const addresses = [vip('10.96.0.1'), vip('fd00:96::1')];
  assert.deepEqual(ask(mesh({ ...web, addresses }), 'web'), answer(['10.96.0.1'], ['fd00:96::1']));
  assert.deepEqual(ask(mesh({ ...web, addresses, ipFamilies: 'IPV4_ONLY' }), 'web'), answer(['10.96.0.1']));
  assert.deepEqual(
    ask(mesh({ ...web, addresses, ipFamilies: 'IPV6_ONLY' }), 'web'),
    answer([], ['fd00:96::1']),
  );
});

const headless = service({ name: 'set' });
const inSet = backs(['shop/set.shop.svc.cluster.local']);

test('a headless service answers with one address of each family of each healthy endpoint', () => {
  const state = mesh(
    headless,
    workload({ name: 'a', addresses: [ip('10.0.0.1'), ip('10.0.0.11'), ip('fd00::1')], services: inSet }),
    workload({ name: 'b', addresses: [ip('10.0.0.2')], services: inSet }),
    workload({ name: 'sick', addresses: [ip('10.0.0.3')], services: inSet, status: 'UNHEALTHY' }),
    workload({ name: 'away', addresses: [ip('10.0.0.4')], services: inSet, network: 'west' }),
  );
  assert.deepEqual(ask(state, 'set'), answer(['10.0.0.1', '10.0.0.2'], ['fd00::1']));
  state.upsertService({ ...headless, ipFamilies: 'IPV4_ONLY' });
  assert.deepEqual(ask(state, 'set'), answer(['10.0.0.1', '10.0.0.2']));
});

test('a headless service without endpoints is known and has no address', () => {
  assert.deepEqual(ask(mesh(headless), 'set'), answer([]));
});

test('an external service without an address, or with blocks only, is forwarded', () => {
  assert.deepEqual(ask(mesh({ ...external, addresses: [] }), 'api.example.com'), FORWARD);
  assert.deepEqual(ask(mesh({ ...external, addresses: [vip('10.0.0.0/8')] }), 'api.example.com'), FORWARD);
});

test('an external service without an address does not hide another one that has an address', () => {
  const state = mesh({ ...external, addresses: [] }, { ...external, namespace: 'bank' });
  assert.deepEqual(ask(state, 'api.example.com'), answer(['240.240.0.1']));
});

test('another cluster domain is respected', () => {
  const renamed = { ...web, hostname: 'web.shop.svc.corp.internal' };
  const fields = { clusterDomain: 'corp.internal' };
  assert.deepEqual(ask(mesh(renamed), 'web', fields), answer(['10.96.0.1']));
  assert.deepEqual(ask(mesh(renamed), 'web.shop.svc.cluster.local', fields), FORWARD);
});

test('no name whatsoever makes it throw', () => {
  const state = mesh(web, external);
  const anyName = fc.oneof(
    fc.string(),
    fc.domain(),
    fc.array(fc.constantFrom('', 'web', '*', 'svc')).map((l) => l.join('.')),
  );
  fc.assert(
    fc.property(anyName, fc.array(anyName, { maxLength: 4 }), (name, searchDomains) => {
      assert.ok(['addresses', 'forward'].includes(ask(state, name, { searchDomains }).kind));
    }),
  );
});
