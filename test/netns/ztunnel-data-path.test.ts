/** The node proxy's data path between real pods: captured, encrypted, judged, counted. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { makeRoot } from '../support/certificates.ts';
import { denyPolicy } from '../support/deny-policy.ts';
import { eventually, eventuallyAnswers } from '../support/eventually.ts';
import { MeshNode, serviceOf, workloadOf } from '../support/mesh-node.ts';
import { type LivePod, MeshPods, shellInPod, talk } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

const ECHO_PORT = 8080;

inOwnNamespaces(import.meta.filename, () => {
  const authority = makeRoot('mesh root');
  let client: LivePod;
  let server: LivePod;
  let outsider: LivePod;
  const nodes: MeshNode[] = [];
  const servers: Server[] = [];
  const seen: string[] = [];

  function serve(pod: LivePod, port: number): void {
    const listener = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      seen.push(socket.remoteAddress ?? '');
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    servers.push(pod.netns.namespace.run(() => listener.listen(port)));
  }

  async function everyNode(action: (node: MeshNode) => unknown): Promise<void> {
    for (const node of nodes) await action(node);
  }

  before(async () => {
    const pods = new MeshPods();
    client = pods.make('client', 1);
    server = pods.make('server', 2);
    outsider = pods.make('outsider', 3);
    for (const pod of [client, server, outsider]) serve(pod, ECHO_PORT);
    await pods.redirect(client, server);
    for (const pod of [client, server]) {
      const node = new MeshNode(authority);
      nodes.push(node);
      await node.start();
      assert.equal(await node.addPod(pod), undefined);
    }
    const ports = [{ servicePort: 80, targetPort: ECHO_PORT }];
    const services = new Map([['shop/server.shop.svc.cluster.local', ports]]);
    await everyNode((node) => {
      node.workloads(workloadOf(client), workloadOf(server, { services }));
      node.services(serviceOf('server', 'shop', ['10.96.0.2', 'fd00:96::2'], { 80: ECHO_PORT }));
    });
  });

  after(async () => {
    for (const one of servers) one.close();
    for (const node of nodes) assert.deepEqual(node.failures, []);
    if (process.env.SHOWLOG) process.stderr.write(nodes.map((node) => node.log).join('\n-----\n'));
  });

  for (const [what, ip, port] of [
    ['by pod address', '10.0.0.2', ECHO_PORT],
    ['by pod address over IPv6', 'fd00::2', ECHO_PORT],
    ['by service address', '10.96.0.2', 80],
    ['by service address over IPv6', 'fd00:96::2', 80],
  ] as const) {
    test(`a pod calls another one ${what}: through HBONE, and the server sees the client's address`, async () => {
      const labels = { reporter: 'source', connection_security_policy: 'mutual_tls' };
      const opened = nodes[0]!.total('istio_tcp_connections_opened_total', labels);
      seen.length = 0;
      assert.equal(await talk(client, ip, port, 'hello'), 'hello');
      assert.match(seen[0]!, ip.includes(':') ? /^fd00::1$/ : /^::ffff:10\.0\.0\.1$/);
      assert.equal(nodes[0]!.total('istio_tcp_connections_opened_total', labels), opened + 1);
    });
  }

  test('of its connections in a pod only those to an application are marked, for the way back of the answers', async () => {
    const held = shellInPod(client, 'exec 3<>/dev/tcp/10.0.0.2/8080 && echo >&3 && head -c 1 <&3 && sleep 2');
    const marksIn = async (pod: LivePod) =>
      [
        ...(await shellInPod(pod, `conntrack -L -p tcp --dport ${ECHO_PORT} --state ESTABLISHED`)).matchAll(
          / mark=(\d+)/g,
        ),
      ].map(([, mark]) => Number(mark));
    await eventuallyAnswers('the connection', async () => (await marksIn(server)).length > 0);
    assert.deepEqual(await marksIn(client), [0]);
    assert.deepEqual(await marksIn(server), [0x111]);
    await held;
  });

  test('what the two proxies count agrees with the bytes that were sent', async () => {
    const received = () =>
      nodes.map((node, i) =>
        node.total('istio_tcp_received_bytes_total', { reporter: i === 0 ? 'source' : 'destination' }),
      );
    await eventuallyAnswers('all connections to be over', async () => {
      const open = await Promise.all(nodes.map((node) => node.connections()));
      return open.every((connections) => connections.length === 0);
    });
    const before = received();
    const message = 'x'.repeat(50_000);
    assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, message), message);
    await eventually('both proxies to count 50,000 bytes', () =>
      received().every((value, i) => value === before[i]! + 50_000),
    );
  });

  test('a pod outside the mesh reaches one inside in plain text, under its own address', async () => {
    seen.length = 0;
    assert.equal(await talk(outsider, '10.0.0.2', ECHO_PORT, 'plain'), 'plain');
    assert.equal(seen[0], '::ffff:10.0.0.3');
    assert.ok(
      nodes[1]!.total('istio_tcp_connections_opened_total', { connection_security_policy: 'unknown' }) > 0,
    );
  });

  test('a pod of the mesh reaches one outside in plain text', async () => {
    assert.equal(await talk(client, '10.0.0.3', ECHO_PORT, 'out'), 'out');
  });

  test('a destination that nobody serves fails like a refused connection', async () => {
    assert.equal(await talk(client, '10.0.0.2', 9999, 'x'), '');
    assert.equal(await talk(client, '10.0.0.3', 9999, 'x'), '');
  });

  test('STRICT refuses plain text and lets mutual TLS pass; taking it back restores plain text', async () => {
    await everyNode((node) => node.policies(STRICT));
    await eventuallyAnswers(
      'plain text to be refused',
      async () => (await talk(outsider, '10.0.0.2', ECHO_PORT, 'x')) === '',
    );
    assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'tls'), 'tls');
    await everyNode((node) => node.removePolicy('istio-system/strict'));
    await eventuallyAnswers(
      'plain text to pass again',
      async () => (await talk(outsider, '10.0.0.2', ECHO_PORT, 'x')) === 'x',
    );
  });

  for (const port of [15001, 15006, 15008]) {
    test(`port ${port} of the proxy is no destination, from inside or outside the mesh`, async () => {
      for (const ip of ['127.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3']) {
        assert.equal(await talk(client, ip, port, 'not a client hello'), '', `client to ${ip}`);
      }
      assert.equal(await talk(outsider, '10.0.0.2', port, 'not a client hello'), '', 'outsider');
    });
  }

  test('a pod that leaves the mesh loses its listeners, and its connections are cut', async () => {
    const child = spawn('ip', [
      'netns',
      'exec',
      client.netns.name,
      'bash',
      '-c',
      'exec 3<>/dev/tcp/10.0.0.2/8080; cat <&3',
    ]);
    const ended = new Promise((resolve) => child.once('close', resolve));
    await eventuallyAnswers(
      'the connection to be open',
      async () => (await nodes[0]!.connections()).length === 1,
    );
    await nodes[0]!.removePod(client);
    await ended;
    assert.equal((await nodes[0]!.connections()).length, 0);
    assert.equal(await nodes[0]!.addPod(client), undefined);
    assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'back'), 'back');
  });
});

const STRICT = denyPolicy('istio-system', 'strict', { notPrincipals: [{ kind: 'presence' }] });
