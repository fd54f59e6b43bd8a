/** Services whose endpoints refuse, are missing, or are behind a waypoint: where calls go, and what the log says. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Condition } from '../../src/objects/core-types.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  podManifest,
  serviceManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';
import type { PodCaller } from '../support/pod-caller.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

/** Ready for Kubernetes, and nobody listens. */
const DEAF: Manifest = { image: 'host', command: ['sleep', 'infinity'] };
/** Of the service block, and nobody’s. */
const NOBODY = '10.96.77.77';
const CALLS = 30;
/** Nobody is that unlucky twice: 2⁻³⁰. */
const BOTH = `one of ${CALLS} calls must have met each endpoint`;

function pair(namespace: string): readonly Manifest[] {
  const labels = { app: 'mixed' };
  return [
    podManifest({ name: 'good', namespace, node: 'node2', labels }),
    podManifest({ name: 'deaf', namespace, node: 'node2', labels, container: DEAF }),
    serviceManifest({ name: 'mixed', namespace }),
  ];
}

/** A pod of the service `copies` that calls its own port `web`. */
function copyOf(name: string, node: string, port: number): Manifest {
  const container: Manifest = {
    image: 'ambit/echo',
    args: ['--http', String(port)],
    ports: [{ name: 'web', containerPort: port }],
    readinessProbe: { tcpSocket: { port: 'web' }, periodSeconds: 1 },
  };
  return podManifest({ name, namespace: 'shop', node, labels: { app: 'copies' }, container });
}

function waypoint(name: string, address: string): Manifest {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: 'shop', labels: { 'istio.io/waypoint-for': 'service' } },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
    status: { addresses: [{ type: 'IPAddress', value: address }] },
  };
}

const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  namespaceManifest('plain'),
  clientManifest({ name: 'buyer', namespace: 'shop', node: 'node1' }),
  ...pair('shop'),
  ...pair('plain'),
  podManifest({ name: 'guarded', namespace: 'shop', node: 'node2' }),
  serviceManifest({ name: 'empty', namespace: 'shop' }),
  serviceManifest({ name: 'guarded', namespace: 'shop' }),
];

describe('services in trouble', () => {
  let session: SandboxSession;
  let buyer: PodCaller;

  before(async () => {
    session = await SandboxSession.start({ name: 'services', manifests: MANIFESTS });
    await session.enrolled('shop');
    buyer = await session.callerIn('shop', 'buyer');
  });
  after(() => session?.dispose());

  async function callMany(url: string): Promise<readonly string[]> {
    const answers: string[] = [];
    for (let i = 0; i < CALLS; i++) answers.push((await buyer.echo(url)).name);
    return answers;
  }

  test('an endpoint of the mesh that refuses is passed over for the next one, and no caller notices', async () => {
    const answers = await callMany('http://mixed.shop/');
    assert.deepEqual(new Set(answers), new Set(['good']));
    const inbound = { 'dst.workload': 'deaf', 'src.workload': 'buyer', direction: 'inbound' };
    const refused = await session.accessLine('node2', inbound, 'connection failed');
    assert.match(refused.fields.error!, /ECONNREFUSED/, BOTH);
  });

  test('so is one outside the mesh', async () => {
    const answers = await callMany('http://mixed.plain/');
    assert.deepEqual(new Set(answers), new Set(['good']));
  });

  test('calls are spread over the pods of a service, wherever they are, by a port that each pod numbers itself', async () => {
    const ports: Readonly<Record<string, number>> = { 'copy-1': 8080, 'copy-2': 8081, 'copy-3': 8082 };
    await session.apply(
      ...Object.entries(ports).map(([name, port], at) => copyOf(name, `node${(at % 2) + 1}`, port)),
      serviceManifest({ name: 'copies', namespace: 'shop', targetPort: 'web' }),
    );
    for (const name of Object.keys(ports)) await session.podReady('shop', name);
    // Until an endpoint of the new service is known, its callers are reset.
    await eventuallyAnswers(
      'all are found',
      async () => new Set(await callMany('http://copies/')).size === 3,
    );
    const answers = await callMany('http://copies/');
    for (const name of Object.keys(ports)) {
      const share = answers.filter((one) => one === name).length;
      assert.ok(share > 0 && share < CALLS / 1.2, `${name} got ${share} of ${CALLS} calls`);
    }
  });

  test('a connection ends with the pod that it leads to, and so does one that nothing is sent on', async () => {
    const short = { name: 'brief', namespace: 'shop', node: 'node2' };
    await session.apply(podManifest(short));
    await session.podReady('shop', 'brief');
    const ip = await session.podIp('shop', 'brief');
    const connections = await Promise.all([buyer.open(ip, TCP_PORT), buyer.open(ip, TCP_PORT)]);
    assert.equal(await connections[0]!.exchange('hello'), 'hello');
    await session.remove(podManifest(short));
    for (const connection of connections) assert.match(await connection.ending(), /^(end|ECONNRESET)$/);
  });

  test('a pod that refuses and has no substitute resets its callers, and both logs say why', async () => {
    const ip = await session.podIp('shop', 'deaf');
    assert.equal(await buyer.outcome(`http://${ip}:${HTTP_PORT}/`), 'ECONNRESET');
    const outbound = { 'dst.workload': 'deaf', direction: 'outbound', error: /http status: 503/ };
    await session.accessLine('node1', outbound, 'connection failed');
    await session.accessLine('node2', {
      'dst.workload': 'deaf',
      direction: 'inbound',
      error: /ECONNREFUSED/,
    });
  });

  test('a service without endpoints resets its callers, and the log says that no upstream is healthy', async () => {
    const vip = await session.clusterIp('shop', 'empty');
    assert.equal(await buyer.outcome(`http://${vip}/`), 'ECONNRESET');
    await session.accessLine('node1', {
      'src.workload': 'buyer',
      'dst.addr': `${vip}:80`,
      'dst.service': 'empty.shop.svc.cluster.local',
      error: `no healthy upstream: ${vip}:80`,
      code: 'AMBIT_NO_HEALTHY_UPSTREAM',
    });
    assert.equal(await buyer.outcome(`http://${vip}:81/`), 'ECONNRESET', 'nor has it such a port');
  });

  /** Connections that the proxy of the guarded pod has let in. */
  async function arrived(): Promise<number> {
    const labels = { reporter: 'destination', destination_workload: 'guarded' };
    return sumOf(await session.metrics('node2'), 'istio_tcp_connections_opened_total', labels);
  }

  const guarded = serviceManifest({ name: 'guarded', namespace: 'shop' });
  const bound = serviceManifest({
    name: 'guarded',
    namespace: 'shop',
    labels: { 'istio.io/use-waypoint': 'gate' },
  });

  test('behind a waypoint that is nowhere a service is reached by nobody, not even directly', async () => {
    const gate = waypoint('gate', NOBODY);
    const vip = await session.clusterIp('shop', 'guarded');
    const ip = await session.podIp('shop', 'guarded');
    assert.equal(await buyer.outcome(`http://${vip}/`), 'ok');
    await session.apply(gate, bound);
    const isBound = (dump: { services: readonly { name: string; waypoint?: object }[] }) =>
      dump.services.some((one) => one.name === 'guarded' && one.waypoint !== undefined);
    await session.everyProxy('the service has a waypoint', isBound);
    const outcomes = async () => {
      const calls = Array.from({ length: CALLS }, () => buyer.outcome(`http://${vip}/`));
      return String([...new Set(await Promise.all(calls))]);
    };
    await until('calls are cut', async () => (await outcomes()) === 'ECONNRESET');
    const before = await arrived();
    assert.equal(await outcomes(), 'ECONNRESET');
    assert.equal(await arrived(), before, 'not one call has reached the pod');
    await session.accessLine('node1', {
      'dst.service': 'guarded.shop.svc.cluster.local',
      error: new RegExp(`^unknown waypoint: waypoint .*${NOBODY}.* not found$`),
      code: 'AMBIT_UNKNOWN_WAYPOINT',
    });
    assert.equal(await buyer.outcome(`http://${ip}:${HTTP_PORT}/`), 'ok', 'the pod itself is not bound');
    await session.apply(guarded);
    await session.remove(gate);
    await until('calls go directly again', async () => (await buyer.outcome(`http://${vip}/`)) === 'ok');
  });

  test('a waypoint that was never there does not stop calls, and the status of the service says so', async () => {
    await session.apply(bound);
    const condition = await until('the service has a condition', async () => {
      const { status } = await session.object('service', 'shop', 'guarded');
      const { conditions = [] } = (status ?? {}) as { readonly conditions?: readonly Condition[] };
      return conditions.find((one) => one.type === 'istio.io/WaypointBound');
    });
    assert.deepEqual([condition.status, condition.reason], ['False', 'WaypointIsNotReady']);
    assert.match(condition.message!, /gate does not exist; traffic goes directly/);
    assert.equal(await buyer.outcome('http://guarded/'), 'ok');
  });
});
