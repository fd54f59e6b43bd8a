/** What a pod keeps out of the mesh by annotation, and that everything else of it stays in. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  namespaceManifest,
  peerAuthenticationManifest,
  podManifest,
} from '../support/mesh-manifests.ts';
import { urlHost } from '../support/pod-caller.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

const OTHER_PORT = 8081;
const EXCLUDE = 'traffic.sidecar.istio.io/exclude';
const CONTAINER = {
  image: 'ambit/echo',
  args: ['--http', String(HTTP_PORT), '--http', String(OTHER_PORT)],
  readinessProbe: { tcpSocket: { port: HTTP_PORT }, periodSeconds: 1 },
};
/** The pods of node 2, in both families. */
const FAR_RANGES = '10.244.2.0/24, fd00:10:244:2::/64';

const onNode1 = { namespace: 'shop', node: 'node1' } as const;
const server = { namespace: 'shop', container: CONTAINER } as const;
const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  namespaceManifest('plain'),
  clientManifest({ ...onNode1, name: 'buyer' }),
  clientManifest({
    ...onNode1,
    name: 'no-port',
    annotations: { [`${EXCLUDE}OutboundPorts`]: String(OTHER_PORT) },
  }),
  clientManifest({
    ...onNode1,
    name: 'no-range',
    annotations: { [`${EXCLUDE}OutboundIPRanges`]: FAR_RANGES },
  }),
  clientManifest({ namespace: 'plain', name: 'stranger', node: 'node1' }),
  podManifest({ ...server, name: 'near', node: 'node1' }),
  podManifest({ ...server, name: 'far', node: 'node2' }),
  podManifest({
    ...server,
    name: 'half-open',
    node: 'node2',
    annotations: { [`${EXCLUDE}InboundPorts`]: String(OTHER_PORT) },
  }),
  podManifest({
    ...server,
    name: 'ingress',
    node: 'node2',
    annotations: { 'ambient.istio.io/bypass-inbound-capture': 'true' },
  }),
];

describe('what pods keep out of the mesh', () => {
  let session: SandboxSession;

  before(async () => {
    session = await SandboxSession.start({ name: 'exclusions', manifests: MANIFESTS });
    await session.enrolled('shop');
  });
  after(() => session?.dispose());

  async function opened(node: string, labels: Readonly<Record<string, string>>): Promise<number> {
    return sumOf(await session.metrics(node), 'istio_tcp_connections_opened_total', labels);
  }

  interface Call {
    readonly client: string;
    readonly server: string;
    readonly port: number;
    readonly namespace?: string;
  }

  /** Calls in both families, and how often the two proxies saw it: as client’s, as server’s, as mutual TLS. */
  async function seen({ client, server, port, namespace = 'shop' }: Call) {
    const { nodeName } = (await session.pod('shop', server)).spec;
    const pair = { source_workload: client, destination_workload: server };
    const look = async () => ({
      outbound: await opened('node1', { ...pair, reporter: 'source' }),
      inbound: await opened(nodeName, { ...pair, reporter: 'destination' }),
      secure: await opened(nodeName, {
        ...pair,
        reporter: 'destination',
        connection_security_policy: 'mutual_tls',
      }),
    });
    const before = await look();
    const caller = await session.callerIn(namespace, client);
    for (const family of [4, 6] as const) {
      const host = urlHost(await session.podIp('shop', server, family));
      const { source } = await caller.echo(`http://${host}:${port}/`);
      assert.equal(source.ip, await session.podIp(namespace, client, family));
    }
    const after = await look();
    return {
      outbound: after.outbound - before.outbound,
      inbound: after.inbound - before.inbound,
      secure: after.secure - before.secure,
    };
  }

  const MUTUAL_TLS = { outbound: 2, inbound: 2, secure: 2 };
  /** The proxy of the server still takes it, as it does any plain text. */
  const AROUND_THE_CLIENT = { outbound: 0, inbound: 2, secure: 0 };
  const AROUND_BOTH = { outbound: 0, inbound: 0, secure: 0 };

  test('calls to a port that a pod excludes go around its proxy, those to other ports do not', async () => {
    const call = { client: 'no-port', server: 'far' };
    assert.deepEqual(await seen({ ...call, port: OTHER_PORT }), AROUND_THE_CLIENT);
    assert.deepEqual(await seen({ ...call, port: HTTP_PORT }), MUTUAL_TLS);
  });

  test('calls to a range of addresses that a pod excludes go around its proxy, others do not', async () => {
    const call = { client: 'no-range', port: HTTP_PORT };
    assert.deepEqual(await seen({ ...call, server: 'far' }), AROUND_THE_CLIENT);
    assert.deepEqual(await seen({ ...call, server: 'near' }), MUTUAL_TLS);
  });

  test('plain text to a port that a pod excludes goes around its proxy, mutual TLS to it still works', async () => {
    const stranger = { client: 'stranger', namespace: 'plain', server: 'half-open' };
    assert.deepEqual(await seen({ ...stranger, port: OTHER_PORT }), AROUND_BOTH);
    assert.deepEqual(await seen({ ...stranger, port: HTTP_PORT }), { ...AROUND_THE_CLIENT });
    assert.deepEqual(await seen({ client: 'buyer', server: 'half-open', port: OTHER_PORT }), MUTUAL_TLS);
  });

  test('plain text to a pod that bypasses inbound capture is its own, its calls and its peers’ are in the mesh', async () => {
    const ingress = { server: 'ingress', port: HTTP_PORT };
    assert.deepEqual(await seen({ ...ingress, client: 'stranger', namespace: 'plain' }), AROUND_BOTH);
    assert.deepEqual(await seen({ ...ingress, client: 'buyer' }), MUTUAL_TLS);
    const caller = await session.callerIn('shop', 'ingress');
    await caller.echo(`http://${await session.podIp('shop', 'near')}:${HTTP_PORT}/`);
    const labels = { source_workload: 'ingress', connection_security_policy: 'mutual_tls' };
    assert.equal(await opened('node2', labels), 1);
  });

  test('STRICT holds where plain text is captured, and nowhere else', async () => {
    await session.apply(peerAuthenticationManifest('shop', 'strict', { mtls: { mode: 'STRICT' } }));
    const stranger = await session.callerIn('plain', 'stranger');
    const url = async (pod: string, port: number) => `http://${await session.podIp('shop', pod)}:${port}/`;
    for (const pod of ['far', 'half-open', 'near']) {
      const captured = await url(pod, HTTP_PORT);
      await until(`${pod} refuses`, async () => (await stranger.outcome(captured)) === 'ECONNRESET');
    }
    assert.equal(await stranger.outcome(await url('half-open', OTHER_PORT)), 'ok');
    assert.equal(await stranger.outcome(await url('ingress', HTTP_PORT)), 'ok');
  });
});
