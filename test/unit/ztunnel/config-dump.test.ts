/** The parts of /config_dump as Istio's tools read them, out of hand-made objects of the mesh, and read by our own CLI. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfigDump } from '../../../src/cli/config-dump.ts';
import { connectionRows, policyRows, serviceRows, workloadRows } from '../../../src/cli/ztunnel-tables.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { dumpPods, dumpPolicy, dumpService, dumpWorkload } from '../../../src/ztunnel/admin/config-dump.ts';
import { dumpMesh } from '../../../src/ztunnel/proxy/dump-mesh.ts';
import type { ConnectionSummary } from '../../../src/ztunnel/proxy/messages.ts';
import {
  backs,
  block,
  ip,
  policy,
  rule,
  service,
  text,
  vip,
  waypointByAddress,
  waypointByHostname,
  workload,
} from '../mesh/builders.ts';
import { podInfo } from './pod-fixture.ts';

const ORDERS = 'shop/orders.shop.svc.cluster.local';

/** As it arrives at the reader. */
function json(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}

const orders = service({
  name: 'orders',
  addresses: [vip('10.96.0.9'), vip('240.240.0.0/16', 'west')],
  waypoint: waypointByHostname('shop', 'waypoint.shop.svc.cluster.local'),
});
const ordersPod = workload({
  name: 'orders-0',
  addresses: [ip('10.244.1.2'), ip('fd00::2')],
  services: backs([ORDERS, [80, 8080]]),
  authorizationPolicies: ['shop/allow-web'],
  waypoint: waypointByAddress('10.244.9.9', 'west'),
});
const allowWeb = policy({
  name: 'allow-web',
  scope: 'WORKLOAD_SELECTOR',
  rules: [
    rule([{ principals: [text('*/sa/web')], sourceIps: [block('10.0.0.0/8')], destinationPorts: [8080] }]),
  ],
});

test('a workload has the keys of Istio’s dump', () => {
  assert.deepEqual(json(dumpWorkload(ordersPod)), {
    uid: 'Kubernetes//Pod/shop/orders-0',
    workloadIps: ['10.244.1.2', 'fd00::2'],
    protocol: 'HBONE',
    networkMode: 'Standard',
    name: 'orders-0',
    namespace: 'shop',
    trustDomain: 'cluster.local',
    serviceAccount: 'default',
    identity: 'spiffe://cluster.local/ns/shop/sa/default',
    network: '',
    workloadName: 'orders-0',
    workloadType: 'pod',
    canonicalName: 'orders-0',
    canonicalRevision: 'v1',
    node: 'node-1',
    nativeTunnel: false,
    status: 'Healthy',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    services: [ORDERS],
    authorizationPolicies: ['shop/allow-web'],
    capacity: 1,
    waypoint: { destination: 'west/10.244.9.9', hboneMtlsPort: 15008 },
  });
});

test('a workload shows what is special about it, and only then', () => {
  const special = json(
    dumpWorkload(
      workload({
        name: 'db',
        hostname: 'db.example',
        tunnelProtocol: 'NONE',
        networkMode: 'HOST_NETWORK',
        status: 'UNHEALTHY',
        networkGateway: waypointByAddress('192.0.2.1', 'east'),
        applicationTunnel: { protocol: 'PROXY', port: 15088 },
      }),
    ),
  );
  const { hostname, protocol, networkMode, status, networkGateway, applicationTunnel } = special;
  assert.deepEqual(
    [hostname, protocol, networkMode, status],
    ['db.example', 'TCP', 'HostNetwork', 'Unhealthy'],
  );
  assert.deepEqual(networkGateway, { destination: 'east/192.0.2.1', hboneMtlsPort: 15008 });
  assert.deepEqual(applicationTunnel, { protocol: 'PROXY', port: 15088 });
  const usual = json(dumpWorkload(workload({ name: 'web' })));
  for (const key of ['hostname', 'waypoint', 'networkGateway', 'applicationTunnel'])
    assert.ok(!(key in usual), key);
});

test('a service has its addresses with their networks, its ports, and its endpoints by workload', () => {
  const ports = [{ servicePort: 80, targetPort: 8080 }];
  const dumped = json(dumpService(orders, [{ workload: ordersPod, ports }]));
  assert.deepEqual(dumped, {
    name: 'orders',
    namespace: 'shop',
    hostname: 'orders.shop.svc.cluster.local',
    vips: ['/10.96.0.9', 'west/240.240.0.0/16'],
    ports: { 80: 8080 },
    endpoints: {
      'Kubernetes//Pod/shop/orders-0': {
        workloadUid: 'Kubernetes//Pod/shop/orders-0',
        port: { 80: 8080 },
        status: 'Healthy',
      },
    },
    subjectAltNames: [],
    ipFamilies: 'AUTOMATIC',
    canonical: true,
    visibility: 'PUBLIC',
    waypoint: { destination: 'shop/waypoint.shop.svc.cluster.local', hboneMtlsPort: 15008 },
  });
});

test('a policy shows what it matches as text, and leaves out what it does not look at', () => {
  assert.deepEqual(json(dumpPolicy(allowWeb)), {
    name: 'allow-web',
    namespace: 'shop',
    scope: 'WorkloadSelector',
    action: 'Allow',
    dryRun: false,
    rules: [
      [
        [
          {
            principals: [{ kind: 'suffix', value: '/sa/web' }],
            sourceIps: ['10.0.0.0/8'],
            destinationPorts: [8080],
          },
        ],
      ],
    ],
  });
  const deny = json(dumpPolicy(policy({ name: 'deny-all', scope: 'GLOBAL', action: 'DENY', dryRun: true })));
  assert.deepEqual([deny.scope, deny.action, deny.dryRun, deny.rules], ['Global', 'Deny', true, []]);
});

const CONNECTION: ConnectionSummary = {
  podUid: 'u1',
  direction: 'outbound',
  src: '10.244.1.2:4001',
  originalDst: '10.96.0.9:80',
  actualDst: '10.244.2.3:15008',
  protocol: 'HBONE',
};

test('each pod has its state and its own connections, by direction', () => {
  const pods = new Map([
    ['u1', { info: podInfo('u1'), state: 'Up' as const }],
    ['u2', { info: podInfo('u2'), state: 'Pending' as const, reason: 'port 15001 is taken' }],
  ]);
  const inbound = { ...CONNECTION, direction: 'inbound' as const, protocol: 'TCP' as const };
  const stray = { ...CONNECTION, podUid: 'gone' };
  const { podUid: _, direction: __, ...shown } = CONNECTION;
  assert.deepEqual(json(dumpPods(pods, [CONNECTION, inbound, stray])), {
    u1: {
      state: 'Up',
      connections: { inbound: [{ ...shown, protocol: 'TCP' }], outbound: [shown] },
      info: { name: 'pod-u1', namespace: 'shop', serviceAccount: 'orders' },
    },
    u2: {
      state: 'Pending',
      reason: 'port 15001 is taken',
      connections: { inbound: [], outbound: [] },
      info: { name: 'pod-u2', namespace: 'shop', serviceAccount: 'orders' },
    },
  });
});

function meshState(): MeshState {
  const state = new MeshState();
  state.upsertService(orders);
  state.upsertWorkload(ordersPod);
  state.upsertWorkload({
    ...workload({ name: 'orders-1' }),
    services: ordersPod.services,
    status: 'UNHEALTHY',
  });
  state.upsertWorkload(
    workload({ name: 'early-0', services: backs(['shop/later.shop.svc.cluster.local', [80, 80]]) }),
  );
  state.upsertAuthorization(allowWeb);
  return state;
}

test('the mesh is dumped whole: unhealthy endpoints too, and workloads whose service has not come yet', () => {
  const mesh = dumpMesh(meshState());
  assert.deepEqual([mesh.workloads.length, mesh.services.length, mesh.policies.length], [3, 1, 1]);
  const [dumped] = json(mesh).services as { endpoints: Record<string, { status: string }> }[];
  assert.deepEqual(
    Object.entries(dumped!.endpoints).map(([uid, { status }]) => [uid, status]),
    [
      ['Kubernetes//Pod/shop/orders-0', 'Healthy'],
      ['Kubernetes//Pod/shop/orders-1', 'Unhealthy'],
    ],
  );
  assert.deepEqual(mesh.stagedServices, {
    'shop/later.shop.svc.cluster.local': ['Kubernetes//Pod/shop/early-0'],
  });
});

test('the commands that people type can read the dump', () => {
  const pods = new Map([['u1', { info: podInfo('u1'), state: 'Up' as const }]]);
  const whole = { ...dumpMesh(meshState()), certificates: [], workloadState: dumpPods(pods, [CONNECTION]) };
  const dump = parseConfigDump(JSON.stringify(whole), 'test');
  assert.deepEqual(workloadRows(dump, { address: 'fd00::2' }), [
    {
      namespace: 'shop',
      name: 'orders-0',
      address: '10.244.1.2,fd00::2',
      node: 'node-1',
      waypoint: 'west/10.244.9.9',
      protocol: 'HBONE',
    },
  ]);
  const [row] = serviceRows(dump, undefined);
  assert.deepEqual([row?.name, row?.vip, row?.endpoints], ['orders', '10.96.0.9,240.240.0.0/16', '1/2']);
  assert.deepEqual(
    policyRows(dump, undefined).map((one) => one.scope),
    ['WorkloadSelector'],
  );
  const [connection] = connectionRows(dump, { raw: false });
  assert.deepEqual(
    [connection?.local, connection?.remoteTarget],
    ['orders-0.shop:4001', 'orders.shop.svc.cluster.local:80'],
  );
});
