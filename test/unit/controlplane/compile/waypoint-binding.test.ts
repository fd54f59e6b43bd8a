/** Which waypoint an object gets, and what its condition says about it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeshObject } from '../../../../src/objects/kinds.ts';
import { compileMesh } from '../../../support/compile-mesh.ts';
import {
  make,
  namespace,
  pod,
  service,
  type WaypointInput,
  waypoint,
} from '../../../support/mesh-objects.ts';

const HOST = 'web.shop.svc.cluster.local';
const USE = { 'istio.io/use-waypoint': 'wp' };
const ADDRESS = { destination: { kind: 'address', network: '', ip: '10.0.9.9' }, hboneMtlsPort: 15008 };

function ofService(...objects: readonly MeshObject[]) {
  const mesh = compileMesh(objects);
  return {
    waypoint: mesh.services[HOST]?.waypoint,
    conditions: mesh.conditions('web'),
    message: mesh.message('web'),
  };
}

function ofPod(...objects: readonly MeshObject[]) {
  return compileMesh(objects).workloads.web?.waypoint;
}

function wp(input: Partial<WaypointInput> = {}) {
  return waypoint({ name: 'wp', ...input });
}

function wpFor(traffic: string) {
  return wp({ labels: { 'istio.io/waypoint-for': traffic } });
}

test('a Service is bound by its own label, or by that of its namespace', () => {
  assert.deepEqual(ofService(wp(), service({ name: 'web', labels: USE })).waypoint, ADDRESS);
  const inherited = ofService(wp(), namespace('shop', USE), service({ name: 'web' }));
  assert.deepEqual(inherited.waypoint, ADDRESS);
  assert.deepEqual(inherited.conditions, ['istio.io/WaypointBound=True/WaypointAccepted']);
  assert.deepEqual(ofService(wp(), service({ name: 'web' })), {
    waypoint: undefined,
    conditions: [],
    message: '',
  });
});

test('its own label goes before that of the namespace, and none opts out', () => {
  const other = waypoint({ name: 'other', ip: '10.0.9.8' });
  const own = ofService(
    wp(),
    other,
    namespace('shop', USE),
    service({ name: 'web', labels: { 'istio.io/use-waypoint': 'other' } }),
  );
  assert.equal(own.waypoint?.destination.kind === 'address' && own.waypoint.destination.ip, '10.0.9.8');
  const none = ofService(
    wp(),
    namespace('shop', USE),
    service({ name: 'web', labels: { 'istio.io/use-waypoint': 'none' } }),
  );
  assert.deepEqual([none.waypoint, none.conditions], [undefined, []]);
});

test('a waypoint may have its address by host name', () => {
  const bound = ofService(
    wp({ hostname: 'wp.shop.svc.cluster.local' }),
    service({ name: 'web', labels: USE }),
  );
  assert.deepEqual(bound.waypoint, {
    destination: { kind: 'hostname', namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' },
    hboneMtlsPort: 15008,
  });
});

test('without an address, or without the Gateway, nothing is bound and the condition says that traffic goes directly', () => {
  for (const objects of [[], [wp({ ip: '' })]]) {
    const result = ofService(...objects, service({ name: 'web', labels: USE }));
    assert.equal(result.waypoint, undefined);
    assert.deepEqual(result.conditions, ['istio.io/WaypointBound=False/WaypointIsNotReady']);
    assert.match(result.message, /traffic goes directly/);
  }
});

test('a Gateway without an HBONE listener is no waypoint', () => {
  const ingress = make(
    'Gateway',
    { name: 'wp' },
    {
      spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
      status: { addresses: [{ value: '10.0.9.9' }] },
    },
  );
  const result = ofService(ingress, service({ name: 'web', labels: USE }));
  assert.deepEqual(result.conditions, ['istio.io/WaypointBound=False/WaypointIsNotReady']);
  assert.match(result.message, /no HBONE listener/);
  assert.deepEqual(
    ofService(wp({ className: 'other' }), service({ name: 'web', labels: USE })).waypoint,
    ADDRESS,
  );
});

test('a waypoint of another namespace must allow it', () => {
  const labels = { ...USE, 'istio.io/use-waypoint-namespace': 'infra' };
  const attach = (input: Partial<WaypointInput>, parent: Record<string, string> = {}) =>
    ofService(
      wp({ namespace: 'infra', ...input }),
      namespace('shop', parent),
      service({ name: 'web', labels }),
    );
  assert.deepEqual(attach({ from: 'All' }).waypoint, ADDRESS);
  assert.deepEqual(attach({}).conditions, ['istio.io/WaypointBound=False/AttachmentDenied']);
  assert.deepEqual(attach({ from: 'Same' }).conditions, ['istio.io/WaypointBound=False/AttachmentDenied']);
  assert.deepEqual(attach({ from: 'None' }).conditions, ['istio.io/WaypointBound=False/AttachmentDenied']);
  const selector = { from: 'Selector', selector: { team: 'a' } } as const;
  assert.deepEqual(attach(selector).conditions, ['istio.io/WaypointBound=False/AttachmentDenied']);
  assert.deepEqual(attach(selector, { team: 'a' }).waypoint, ADDRESS);
  const byName = { from: 'Selector', selector: { 'kubernetes.io/metadata.name': 'shop' } } as const;
  assert.deepEqual(attach(byName).waypoint, ADDRESS, 'every namespace has its name as a label');
  const inherited = ofService(
    wp({ namespace: 'infra', from: 'All' }),
    namespace('shop', labels),
    service({ name: 'web' }),
  );
  assert.deepEqual(inherited.waypoint, ADDRESS);
});

test('service traffic needs a waypoint for service or all, by default it is for service', () => {
  const result = (traffic: string) => ofService(wpFor(traffic), service({ name: 'web', labels: USE }));
  assert.deepEqual(result('service').waypoint, ADDRESS);
  assert.deepEqual(result('all').waypoint, ADDRESS);
  for (const traffic of ['workload', 'none']) {
    assert.deepEqual(result(traffic).conditions, ['istio.io/WaypointBound=False/UnsupportedTrafficType']);
  }
});

test('workload traffic needs a waypoint for workload or all', () => {
  for (const [traffic, expected] of [
    ['workload', ADDRESS],
    ['all', ADDRESS],
    ['service', undefined],
    ['none', undefined],
  ] as const) {
    assert.deepEqual(ofPod(wpFor(traffic), pod({ name: 'web', labels: USE })), expected, traffic);
    assert.deepEqual(ofPod(wpFor(traffic), namespace('shop', USE), pod({ name: 'web' })), expected, traffic);
  }
});

test('the class of the Gateway may say what it is for; the Gateway itself goes first', () => {
  const gatewayClass = make('GatewayClass', {
    name: 'istio-waypoint',
    labels: { 'istio.io/waypoint-for': 'all' },
  });
  assert.deepEqual(ofPod(gatewayClass, wp(), pod({ name: 'web', labels: USE })), ADDRESS);
  assert.equal(ofPod(gatewayClass, wpFor('service'), pod({ name: 'web', labels: USE })), undefined);
});

test('a WorkloadEntry is told by a condition, a ServiceEntry as well', () => {
  const mesh = compileMesh([
    wpFor('service'),
    make('WorkloadEntry', { name: 'vm', labels: USE }, { spec: { address: '192.0.2.1' } }),
    make('ServiceEntry', { name: 'ext', labels: USE }, { spec: { hosts: ['x.example.com'] } }),
  ]);
  assert.deepEqual(mesh.conditions('vm'), ['istio.io/WaypointBound=False/UnsupportedTrafficType']);
  assert.deepEqual(mesh.conditions('ext'), ['istio.io/WaypointBound=True/WaypointAccepted']);
  assert.deepEqual(mesh.services['x.example.com']?.waypoint, ADDRESS);
});

test('a canary takes its share; what is wrong with it leaves the waypoint in place', () => {
  const canary = waypoint({ name: 'next', ip: '10.0.9.8' });
  const bind = (weight: string | undefined, name = 'next') => {
    const labels = { ...USE, 'istio.io/use-waypoint-canary': name };
    const annotations: Record<string, string> =
      weight === undefined ? {} : { 'istio.io/use-waypoint-canary-weight': weight };
    const mesh = compileMesh([wp(), canary, service({ name: 'web', labels, annotations })]);
    const bound = mesh.services[HOST];
    assert.deepEqual(bound?.waypoint, ADDRESS);
    return [bound?.weightedWaypoints.map((one) => one.weight), mesh.conditions('web')];
  };
  assert.deepEqual(bind('10'), [[90, 10], ['istio.io/WaypointBound=True/WaypointAccepted']]);
  assert.deepEqual(bind('0'), [[100], ['istio.io/WaypointBound=True/WaypointAccepted']]);
  assert.deepEqual(bind('100'), [[100], ['istio.io/WaypointBound=True/WaypointAccepted']]);
  assert.deepEqual(bind('101'), [[], ['istio.io/WaypointBound=False/CanaryInvalidWeight']]);
  assert.deepEqual(bind(undefined), [[], ['istio.io/WaypointBound=False/CanaryInvalidWeight']]);
  assert.deepEqual(bind('10', 'wp'), [[], ['istio.io/WaypointBound=False/CanarySameAsPrimary']]);
  assert.deepEqual(bind('10', 'none'), [[], ['istio.io/WaypointBound=False/WaypointIsNotReady']]);
});
