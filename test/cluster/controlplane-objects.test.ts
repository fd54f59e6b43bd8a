/** What becomes of Kubernetes objects that a real API server and its endpoint controllers keep, as a node proxy sees it. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import type { MeshState } from '../../src/mesh/mesh-state.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { setLogLevels } from '../../src/telemetry/log.ts';
import type { DeltaClient } from '../../src/xds/delta-client.ts';
import { eventually } from '../support/eventually.ts';
import { MeshCluster } from '../support/mesh-cluster.ts';

setLogLevels('error');

const DEADLINE_MS = 120_000;
const PODS = '/api/v1/namespaces/shop/pods';
const ENROLLED = { 'ambient.istio.io/redirection': 'enabled' };
const ZONES = { 'topology.kubernetes.io/region': 'eu', 'topology.kubernetes.io/zone': 'eu-1' };

let cluster: MeshCluster;
let state: MeshState;
let client: DeltaClient;

before(async () => {
  cluster = await MeshCluster.start({ 'service-cluster-ip-range': '10.96.0.0/16,fd00:10:96::/112' });
  cluster.server.startControllers('endpointslice-controller', 'endpointslice-mirroring-controller');
  await cluster.namespace('shop');
  await cluster.serviceAccount('ambit-system', 'ambit-ztunnel');
  for (const name of ['node-1', 'node-2']) {
    await cluster.request('POST', '/api/v1/nodes', { metadata: { name, labels: ZONES } });
  }
  await cluster.patch('/api/v1/nodes/node-2/status', {
    status: { addresses: [{ type: 'InternalIP', address: '172.30.0.12' }] },
  });
  const control = await cluster.controlPlane('one');
  const token = await cluster.token('ambit-system/ambit-ztunnel', 'ambit-ca');
  ({ state, client } = await control.mesh(token));
});
after(async () => {
  client?.stop();
  await cluster?.[Symbol.asyncDispose]();
});

function soon<T>(what: string, check: () => T | undefined | false): Promise<T> {
  return eventually(what, check, DEADLINE_MS);
}

function workload(name: string): Workload | undefined {
  return state.workloadByUid(`Kubernetes//Pod/shop/${name}`);
}

function workloadAt(address: string): Workload | undefined {
  return state.workloadByAddress('', parseIp(address)!);
}

function serviceNamed(name: string) {
  return state.serviceByHostname(`${name}.shop.svc.cluster.local`);
}

/** Endpoints that a connection may be given. */
function endpoints(service: string): string {
  const found = serviceNamed(service);
  const workloads = found === undefined ? [] : state.endpointsOf(found);
  return workloads
    .map(({ addresses, status }) => `${addresses[0]}${status === 'HEALTHY' ? '' : ' unhealthy'}`)
    .sort()
    .join(', ');
}

async function service(name: string, spec: object): Promise<void> {
  await cluster.request('POST', '/api/v1/namespaces/shop/services', {
    metadata: { name },
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  });
}

async function pod(name: string, ip: string, app: string, changes: object = {}): Promise<void> {
  await cluster.pod({ namespace: 'shop', name, node: 'node-1', ips: [ip], labels: { app }, ...changes });
}

test('endpoints are those of the controller: ready, not ready, ending', async () => {
  await service('web', { selector: { app: 'web' } });
  await pod('web-1', '10.0.0.1', 'web');
  await pod('web-2', '10.0.0.2', 'web');
  await soon('two endpoints', () => endpoints('web') === '10.0.0.1, 10.0.0.2');
  assert.deepEqual(workload('web-1')?.services.get('shop/web.shop.svc.cluster.local'), [
    { servicePort: 80, targetPort: 8080 },
  ]);

  await cluster.patch(`${PODS}/web-2/status`, {
    status: { conditions: [{ type: 'Ready', status: 'False' }] },
  });
  await soon('one that is not ready', () => endpoints('web') === '10.0.0.1');
  assert.equal(workload('web-2')?.status, 'UNHEALTHY');
  await cluster.patch(`${PODS}/web-2/status`, {
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  await soon('two again', () => endpoints('web') === '10.0.0.1, 10.0.0.2');

  await cluster.request('DELETE', `${PODS}/web-2?gracePeriodSeconds=300`);
  await soon('one that ends', () => endpoints('web') === '10.0.0.1');
  assert.equal(workload('web-2')?.status, 'UNHEALTHY');
  await cluster.request('DELETE', `${PODS}/web-2?gracePeriodSeconds=0`);
  await soon('it to be gone', () => workload('web-2') === undefined);
});

test('a service that publishes pods before they are ready may be reached there', async () => {
  await service('early', { selector: { app: 'early' }, clusterIP: 'None', publishNotReadyAddresses: true });
  await pod('early-0', '10.0.0.11', 'early');
  await cluster.patch(`${PODS}/early-0/status`, {
    status: { conditions: [{ type: 'Ready', status: 'False' }] },
  });
  await soon('the endpoint', () => endpoints('early') === '10.0.0.11 unhealthy');
  assert.equal(serviceNamed('early')?.loadBalancing?.healthPolicy, 'ALLOW_ALL');
});

test('a headless service has endpoints and no address, a pod both of its addresses', async () => {
  await service('db', { selector: { app: 'db' }, clusterIP: 'None' });
  await pod('db-0', '10.0.0.21', 'db', { ips: ['10.0.0.21', 'fd00::21'] });
  await soon('the endpoint', () => endpoints('db') === '10.0.0.21');
  assert.deepEqual(serviceNamed('db')?.addresses, []);
  assert.deepEqual(workload('db-0')?.addresses, ['10.0.0.21', 'fd00::21']);
  assert.equal(workloadAt('fd00::21')?.name, 'db-0');
});

test('an alias of another name is not a service of the mesh', async () => {
  await service('alias', { type: 'ExternalName', externalName: 'example.com' });
  await service('beside', { selector: { app: 'web' } });
  await soon('what was made later', () => serviceNamed('beside'));
  assert.equal(serviceNamed('alias'), undefined);
});

test('the annotation of the agent decides about HBONE, and never for a pod on the network of its host', async () => {
  await pod('plain', '10.0.0.31', 'x');
  await pod('enrolled', '10.0.0.32', 'x', { annotations: ENROLLED });
  await pod('host', '172.30.0.11', 'x', { annotations: ENROLLED, hostNetwork: true });
  const tunnels = await soon('all of them', () => {
    const found = ['plain', 'enrolled', 'host'].map(workload);
    return found.every((one) => one !== undefined) && found.map((one) => one!.tunnelProtocol);
  });
  assert.deepEqual(tunnels, ['NONE', 'HBONE', 'NONE']);
  assert.equal(workload('host')?.networkMode, 'HOST_NETWORK');
  await cluster.patch(`${PODS}/enrolled`, {
    metadata: { annotations: { 'ambient.istio.io/redirection': 'pending' } },
  });
  await soon(
    'no HBONE while the proxy does not know it',
    () => workload('enrolled')?.tunnelProtocol === 'NONE',
  );
});

test('a Job that has finished leaves no workload, and its address is free for another pod', async () => {
  await pod('job-1', '10.0.0.41', 'job');
  await soon('the pod', () => workload('job-1'));
  await cluster.patch(`${PODS}/job-1/status`, { status: { phase: 'Succeeded' } });
  await soon('its end', () => workload('job-1') === undefined);
  await pod('heir', '10.0.0.41', 'x');
  await soon('the heir', () => workloadAt('10.0.0.41')?.name === 'heir');
});

test('where a pod runs comes from the labels of its node, also when they change', async () => {
  await pod('local', '10.0.0.51', 'x', { node: 'node-2' });
  const found = await soon('the pod', () => workload('local'));
  assert.deepEqual(found.locality, { region: 'eu', zone: 'eu-1', subzone: '' });
  await cluster.patch('/api/v1/nodes/node-2', {
    metadata: { labels: { 'topology.kubernetes.io/zone': 'eu-2', 'topology.istio.io/subzone': 'rack-7' } },
  });
  await soon('the new place', () => workload('local')?.locality.zone === 'eu-2');
  assert.deepEqual(workload('local')?.locality, { region: 'eu', zone: 'eu-2', subzone: 'rack-7' });
});

test('the preferences of a service reach the proxies', async () => {
  await service('close', { selector: { app: 'web' }, trafficDistribution: 'PreferClose' });
  await service('node', { selector: { app: 'web' }, trafficDistribution: 'PreferSameNode' });
  await service('local', { selector: { app: 'web' }, internalTrafficPolicy: 'Local' });
  const preferences = await soon('all of them', () => {
    const found = ['close', 'node', 'local'].map((name) => serviceNamed(name)?.loadBalancing);
    return found.every((one) => one !== undefined) && found;
  });
  assert.deepEqual(
    preferences.map((one) => [one?.mode, one?.routingPreference.at(-1)]),
    [
      ['FAILOVER', 'ZONE'],
      ['FAILOVER', 'NODE'],
      ['STRICT', 'NODE'],
    ],
  );
});

test('endpoints that a person writes, also in the old form, are plain TCP; an address of a node belongs to it', async () => {
  await service('manual', {});
  await cluster.request('POST', '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices', {
    metadata: { name: 'manual-1', labels: { 'kubernetes.io/service-name': 'manual' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.1'] }, { addresses: ['172.30.0.12'] }],
    ports: [{ name: 'http', port: 8080 }],
  });
  await soon('the endpoints', () => endpoints('manual') === '172.30.0.12, 192.0.2.1');
  const modes = state
    .endpointsOf(serviceNamed('manual')!)
    .map((one) => [one.tunnelProtocol, one.networkMode]);
  assert.deepEqual(modes.sort(), [
    ['NONE', 'HOST_NETWORK'],
    ['NONE', 'STANDARD'],
  ]);

  await service('old', {});
  await cluster.request('POST', '/api/v1/namespaces/shop/endpoints', {
    metadata: { name: 'old' },
    subsets: [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ name: 'http', port: 9090 }] }],
  });
  await soon('the mirrored endpoint', () => endpoints('old') === '192.0.2.9');
});

test('a service of two families has both addresses, and loses them when it goes', async () => {
  await service('gone', { selector: { app: 'web' }, ipFamilyPolicy: 'RequireDualStack' });
  const { addresses, ipFamilies } = await soon('the service', () => serviceNamed('gone'));
  assert.equal(ipFamilies, 'DUAL');
  assert.match(addresses.map(({ ip }) => ip).join(), /^10\.96\.\d+\.\d+,fd00:10:96:/);
  const byAddress = () => addresses.map(({ ip }) => state.serviceByVip('', ip)?.name);
  assert.deepEqual(byAddress(), ['gone', 'gone']);
  await cluster.request('DELETE', '/api/v1/namespaces/shop/services/gone');
  await soon('its end', () => byAddress().every((name) => name === undefined));
});
