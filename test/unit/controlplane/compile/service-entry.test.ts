/** What becomes of ServiceEntries, WorkloadEntries and EndpointSlices. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceEntrySpec } from '../../../../src/objects/istio-types.ts';
import { compileMesh } from '../../../support/compile-mesh.ts';
import { type MetaInput, make, namespace, pod, service, waypoint } from '../../../support/mesh-objects.ts';

const PORTS = [{ number: 443, name: 'tls', protocol: 'TLS' }];

function entry(
  spec: Partial<ServiceEntrySpec> = {},
  metadata: Partial<MetaInput> = {},
  addresses?: string[],
) {
  const status = addresses && { addresses: addresses.map((value) => ({ value })) };
  return make(
    'ServiceEntry',
    { name: 'ext', ...metadata },
    {
      spec: { hosts: ['api.example.com'], ports: PORTS, resolution: 'STATIC', ...spec },
      ...(status && { status }),
    },
  );
}

test('every host of a ServiceEntry is a service with its addresses, single or blocks', () => {
  const { services } = compileMesh([
    entry({
      hosts: ['api.example.com', 'WWW.example.com'],
      addresses: ['192.0.2.1', '198.51.100.7/24', '2001:db8::/64'],
    }),
  ]);
  assert.deepEqual(Object.keys(services), ['api.example.com', 'www.example.com']);
  assert.deepEqual(services['api.example.com']?.addresses, [
    { network: '', ip: '192.0.2.1' },
    { network: '', ip: '198.51.100.0', prefixLength: 24 },
    { network: '', ip: '2001:db8::', prefixLength: 64 },
  ]);
  assert.deepEqual(services['api.example.com']?.ports, [
    { servicePort: 443, targetPort: 443, appProtocol: 'TLS' },
  ]);
});

test('without addresses of its own it has the allocated ones of its status, each host its own', () => {
  const { services } = compileMesh([
    make(
      'ServiceEntry',
      { name: 'ext' },
      {
        spec: { hosts: ['a.example.com', 'b.example.com'], resolution: 'DNS', ports: PORTS },
        status: {
          addresses: [
            { value: '240.240.0.1', host: 'a.example.com' },
            { value: '2001:2::1', host: 'a.example.com' },
            { value: '240.240.0.2', host: 'b.example.com' },
          ],
        },
      },
    ),
  ]);
  assert.deepEqual(
    services['a.example.com']?.addresses.map((one) => one.ip),
    ['240.240.0.1', '2001:2::1'],
  );
  assert.deepEqual(
    services['b.example.com']?.addresses.map((one) => one.ip),
    ['240.240.0.2'],
  );
});

test('allocated addresses are not used where the user gives some, opts out, or the original address is kept', () => {
  const ips = (spec: Partial<ServiceEntrySpec>, labels = {}) =>
    compileMesh([entry(spec, { labels }, ['240.240.0.1'])]).services['api.example.com']?.addresses.map(
      (one) => one.ip,
    );
  assert.deepEqual(ips({}), ['240.240.0.1']);
  assert.deepEqual(ips({ addresses: ['192.0.2.1'] }), ['192.0.2.1']);
  assert.deepEqual(ips({ resolution: 'NONE' }), []);
  assert.deepEqual(ips({}, { 'networking.istio.io/enable-autoallocate-ip': 'false' }), []);
});

test('resolution NONE passes the original address through and has no endpoints', () => {
  const { services, workloadList } = compileMesh([
    entry({ resolution: 'NONE', endpoints: [{ address: '192.0.2.9' }] }),
  ]);
  assert.equal(services['api.example.com']?.loadBalancing?.mode, 'PASSTHROUGH');
  assert.deepEqual(workloadList, []);
  const unset = make('ServiceEntry', { name: 'ext' }, { spec: { hosts: ['x.example.com'] } });
  assert.equal(compileMesh([unset]).services['x.example.com']?.loadBalancing?.mode, 'PASSTHROUGH');
});

test('resolution STATIC has the endpoints written into it, with their ports, weight, place and account', () => {
  const { workloadList } = compileMesh([
    entry({
      ports: [{ number: 443, name: 'tls', targetPort: 8443 }],
      endpoints: [
        {
          address: '192.0.2.9',
          ports: { tls: 9443 },
          labels: { app: 'vm', 'networking.istio.io/tunnel': 'http' },
          network: 'n2',
          locality: 'eu/eu-1/rack-2',
          weight: 5,
          serviceAccount: 'seller',
        },
        { address: '192.0.2.10' },
        { address: 'unix:///var/run/x.sock' },
      ],
    }),
  ]);
  assert.equal(workloadList.length, 2);
  const [first, second] = workloadList;
  assert.equal(first?.uid, 'Kubernetes/networking.istio.io/ServiceEntry/shop/ext/192.0.2.9');
  assert.deepEqual(
    [...first!.services],
    [['shop/api.example.com', [{ servicePort: 443, targetPort: 9443 }]]],
  );
  assert.deepEqual(
    [
      first?.network,
      first?.capacity,
      first?.serviceAccount,
      first?.tunnelProtocol,
      first?.nativeTunnel,
      first?.canonicalName,
    ],
    ['n2', 5, 'seller', 'HBONE', true, 'vm'],
  );
  assert.deepEqual(first?.locality, { region: 'eu', zone: 'eu-1', subzone: 'rack-2' });
  assert.deepEqual([...second!.services.values()], [[{ servicePort: 443, targetPort: 8443 }]]);
  assert.deepEqual(
    [second?.capacity, second?.serviceAccount, second?.tunnelProtocol],
    [1, 'default', 'NONE'],
  );
});

test('resolution DNS resolves its endpoints by name; without any, each host is its own endpoint', () => {
  const named = compileMesh([entry({ resolution: 'DNS', endpoints: [{ address: 'Backend.example.com' }] })]);
  assert.deepEqual(
    named.workloadList.map((one) => [one.hostname, one.addresses]),
    [['backend.example.com', []]],
  );
  const implied = compileMesh([
    entry({ resolution: 'DNS', hosts: ['a.example.com', '*.b.example.com', 'c.example.com'] }),
  ]);
  assert.deepEqual(
    implied.workloadList.map((one) => [one.hostname, [...one.services.keys()]]),
    [
      ['a.example.com', ['shop/a.example.com']],
      ['c.example.com', ['shop/c.example.com']],
    ],
  );
});

test('a workloadSelector selects pods and WorkloadEntries of its namespace, by the name of the port', () => {
  const { workloads } = compileMesh([
    entry({
      workloadSelector: { labels: { app: 'api' } },
      ports: [{ number: 443, name: 'tls', targetPort: 7443 }],
    }),
    pod({ name: 'named', labels: { app: 'api' }, ports: { tls: 8443 } }),
    pod({ name: 'unnamed', labels: { app: 'api' } }),
    pod({ name: 'other', labels: { app: 'web' } }),
    pod({ name: 'elsewhere', namespace: 'bank', labels: { app: 'api' } }),
    make(
      'WorkloadEntry',
      { name: 'vm' },
      { spec: { address: '192.0.2.1', labels: { app: 'api' }, ports: { tls: 9443 } } },
    ),
  ]);
  const target = (name: string) => workloads[name]?.services.get('shop/api.example.com')?.[0]?.targetPort;
  assert.deepEqual(['named', 'unnamed', 'other', 'elsewhere', 'vm'].map(target), [
    8443,
    7443,
    undefined,
    undefined,
    9443,
  ]);
});

test('a Service goes before a ServiceEntry of the same name, an older ServiceEntry before a younger', () => {
  const host = 'web.shop.svc.cluster.local';
  const both = compileMesh([service({ name: 'web' }), entry({ hosts: [host, 'free.example.com'] })]);
  assert.equal(both.serviceList.filter((one) => one.hostname === host).length, 1);
  assert.equal(both.services[host]?.name, 'web');
  assert.notEqual(both.services['free.example.com'], undefined);
  assert.deepEqual(both.conditions('ext'), ['Accepted=False/Conflicted']);
  const rivals = compileMesh([
    entry({}, { name: 'young', creationTimestamp: '2026-02-01T00:00:00Z' }),
    entry({}, { name: 'old', creationTimestamp: '2026-01-01T00:00:00Z' }),
  ]);
  assert.deepEqual(
    rivals.serviceList.map((one) => one.name),
    ['old'],
  );
  assert.deepEqual(rivals.conditions('young'), ['Accepted=False/Conflicted']);
});

test('of several namespaces the oldest ServiceEntry of a host is the canonical one, unless a Service is', () => {
  const old = entry({}, { namespace: 'bank', creationTimestamp: '2026-01-01T00:00:00Z' });
  const young = entry({}, { creationTimestamp: '2026-02-01T00:00:00Z' });
  const canonical = compileMesh([young, old]).serviceList.map((one) => [one.namespace, one.canonical]);
  assert.deepEqual(canonical, [
    ['shop', false],
    ['bank', true],
  ]);
  const shadow = entry({ hosts: ['web.shop.svc.cluster.local'] }, { namespace: 'bank' });
  assert.deepEqual(
    compileMesh([shadow, service({ name: 'web' })]).serviceList.map((one) => [one.namespace, one.canonical]),
    [
      ['bank', false],
      ['shop', true],
    ],
  );
});

test('a wildcard host without a waypoint is reported', () => {
  const wildcard = entry({ hosts: ['*.example.com'], resolution: 'DYNAMIC_DNS' });
  assert.deepEqual(compileMesh([wildcard]).conditions('ext'), [
    'istio.io/WaypointMissing=True/NoWaypointForWildcardService',
  ]);
  const bound = compileMesh([
    namespace('shop', { 'istio.io/use-waypoint': 'wp' }),
    waypoint({ name: 'wp' }),
    wildcard,
  ]);
  assert.deepEqual(bound.conditions('ext'), ['istio.io/WaypointBound=True/WaypointAccepted']);
});

test('exportTo and subjectAltNames of a ServiceEntry are kept', () => {
  const { services } = compileMesh([entry({ exportTo: ['.'], subjectAltNames: ['spiffe://x/ns/a/sa/b'] })]);
  assert.equal(services['api.example.com']?.visibility, 'NAMESPACE');
  assert.deepEqual(services['api.example.com']?.subjectAltNames, ['spiffe://x/ns/a/sa/b']);
  assert.equal(compileMesh([entry({ exportTo: ['~'] })]).services['api.example.com'], undefined);
});

test('a WorkloadEntry is a workload that Services select, too', () => {
  const { workloads } = compileMesh([
    service({
      name: 'web',
      spec: {
        ports: [
          { port: 80, targetPort: 'http' },
          { port: 81, targetPort: 8081 },
        ],
      },
    }),
    make(
      'WorkloadEntry',
      { name: 'vm', labels: { app: 'web' } },
      { spec: { address: 'vm.example.com', ports: { http: 8888 }, labels: { version: 'v3' } } },
    ),
    make(
      'WorkloadEntry',
      { name: 'sick' },
      { spec: { address: '192.0.2.2' }, status: { conditions: [{ type: 'Healthy', status: 'False' }] } },
    ),
    make('WorkloadEntry', { name: 'nowhere' }, { spec: {} }),
  ]);
  assert.equal(workloads.vm?.uid, 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm');
  assert.deepEqual(
    [workloads.vm?.hostname, workloads.vm?.addresses, workloads.vm?.canonicalRevision],
    ['vm.example.com', [], 'v3'],
  );
  assert.deepEqual(
    [...workloads.vm!.services.values()],
    [
      [
        { servicePort: 80, targetPort: 8888 },
        { servicePort: 81, targetPort: 8081 },
      ],
    ],
  );
  assert.equal(workloads.sick?.status, 'UNHEALTHY');
  assert.equal(workloads.nowhere, undefined);
});

function slice(
  name: string,
  serviceName: string,
  endpoints: readonly object[],
  ports: readonly object[] = [{ name: 'http', port: 8080 }],
) {
  return make('EndpointSlice', { name, labels: { 'kubernetes.io/service-name': serviceName } }, {
    addressType: 'IPv4',
    endpoints,
    ports,
  } as never);
}

test('endpoints of an EndpointSlice that are no pods are workloads, on the ports of the same name', () => {
  const { workloadList } = compileMesh([
    make(
      'Node',
      { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z1' } },
      { status: { addresses: [{ type: 'InternalIP', address: '172.16.0.1' }] } },
    ),
    service({
      name: 'ext',
      selector: {},
      spec: {
        ports: [
          { name: 'http', port: 80 },
          { name: 'other', port: 81 },
        ],
      },
    }),
    slice('ext-1', 'ext', [
      { addresses: ['192.0.2.1', '192.0.2.2'], nodeName: 'n1' },
      { addresses: ['192.0.2.3'], conditions: { ready: false } },
      { addresses: ['192.0.2.4'], conditions: { ready: true, terminating: true }, zone: 'z9' },
      { addresses: ['172.16.0.1'] },
      { addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'p' } },
    ]),
  ]);
  assert.deepEqual(
    workloadList.map((one) => [
      one.uid.split('/').at(-1),
      one.status,
      one.locality.zone,
      one.networkMode,
      one.tunnelProtocol,
    ]),
    [
      ['192.0.2.1', 'HEALTHY', 'z1', 'STANDARD', 'NONE'],
      ['192.0.2.2', 'HEALTHY', 'z1', 'STANDARD', 'NONE'],
      ['192.0.2.3', 'UNHEALTHY', '', 'STANDARD', 'NONE'],
      ['192.0.2.4', 'UNHEALTHY', 'z9', 'STANDARD', 'NONE'],
      ['172.16.0.1', 'HEALTHY', '', 'HOST_NETWORK', 'NONE'],
    ],
  );
  assert.equal(workloadList[0]?.uid, 'Kubernetes/discovery.k8s.io/EndpointSlice/shop/ext-1/192.0.2.1');
  assert.deepEqual(
    [...workloadList[0]!.services],
    [['shop/ext.shop.svc.cluster.local', [{ servicePort: 80, targetPort: 8080 }]]],
  );
});

test('an EndpointSlice of an unknown or external Service has no workloads', () => {
  const endpoints = [{ addresses: ['192.0.2.1'] }];
  assert.deepEqual(compileMesh([slice('s', 'none', endpoints)]).workloadList, []);
  const alias = service({ name: 'alias', spec: { type: 'ExternalName' } });
  assert.deepEqual(compileMesh([alias, slice('s', 'alias', endpoints)]).workloadList, []);
});

test('a Service with EndpointSlices is backed by the pods they list, one without by those it selects', () => {
  const pods = ['a', 'b'].map((name) => pod({ name, labels: { app: 'web' } }));
  const names = (objects: Parameters<typeof compileMesh>[0]) =>
    compileMesh(objects)
      .workloadList.filter((one) => one.services.has('shop/web.shop.svc.cluster.local'))
      .map((one) => one.name);
  assert.deepEqual(names([...pods, service({ name: 'web' })]), ['a', 'b']);
  const listed = slice('web-1', 'web', [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'b' } }]);
  assert.deepEqual(names([...pods, service({ name: 'web' }), listed]), ['b']);
  assert.deepEqual(
    names([...pods, service({ name: 'web', selector: {} }), listed]),
    ['b'],
    'endpoints written by hand',
  );
});
