/** The node proxy's data path between real pods: captured, encrypted, judged, counted. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { chooseIptables } from '../../src/cni/iptables-tools.ts';
import { podOptions } from '../../src/cni/pod-options.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import type { Authorization } from '../../src/mesh/authorization.ts';
import { makeRoot } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { MeshNode, serviceOf, type TestPod, workloadOf } from '../support/mesh-node.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';

const ECHO_PORT = 8080;

/** A pod of the test with its namespace and the echo server in it. */
interface LivePod extends TestPod {
  readonly netns: PodNamespace;
}

inOwnNamespaces(import.meta.filename, () => {
  const authority = makeRoot('mesh root');
  let router: PodNamespace;
  let client: LivePod;
  let server: LivePod;
  let outsider: LivePod;
  const nodes: MeshNode[] = [];
  const servers: Server[] = [];
  const seen: string[] = [];

  function makePod(name: string, index: number): LivePod {
    const netns = new PodNamespace();
    netns.connect(router, `10.0.0.${index}`, `10.0.${index}.254`);
    netns.connect(router, `fd00::${index}`, `fd00:${index}::fe`);
    const addresses = [`10.0.0.${index}`, `fd00::${index}`];
    return { name, namespace: 'shop', serviceAccount: name, addresses, path: netns.path, netns };
  }

  function serve(pod: LivePod, port: number): void {
    const listener = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      seen.push(socket.remoteAddress ?? '');
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    });
    servers.push(pod.netns.namespace.run(() => listener.listen(port)));
  }

  /** Sends a text from inside a pod and returns what comes back; an empty string when the connection is cut. */
  async function talk(pod: LivePod, ip: string, port: number, message: string): Promise<string> {
    const script = `exec 3<>/dev/tcp/${ip}/${port} && printf %s "${message}" >&3 && timeout 5 head -c ${message.length} <&3`;
    const child = spawn('ip', ['netns', 'exec', pod.netns.name, 'timeout', '8', 'bash', '-c', script]);
    return text(child.stdout);
  }

  async function everyNode(action: (node: MeshNode) => void | Promise<unknown>): Promise<void> {
    for (const node of nodes) await action(node);
  }

  before(async () => {
    router = new PodNamespace();
    router.run(
      "sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'",
    );
    client = makePod('client', 1);
    server = makePod('server', 2);
    outsider = makePod('outsider', 3);
    for (const pod of [client, server, outsider]) serve(pod, ECHO_PORT);
    const redirection = new Redirection(await chooseIptables('nft'));
    for (const pod of [client, server]) {
      await redirection.ensure(pod.netns.namespace, podOptions({}, true).options, true);
    }
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

  test('what the two proxies count agrees with the bytes that were sent', async () => {
    const received = () =>
      nodes.map((node, i) =>
        node.total('istio_tcp_received_bytes_total', { reporter: i === 0 ? 'source' : 'destination' }),
      );
    await eventuallyAsync('all connections to be over', async () => {
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
    await eventuallyAsync(
      'plain text to be refused',
      async () => (await talk(outsider, '10.0.0.2', ECHO_PORT, 'x')) === '',
    );
    assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'tls'), 'tls');
    await everyNode((node) => node.removePolicy('istio-system/strict'));
    await eventuallyAsync(
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
    await eventuallyAsync(
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

async function eventuallyAsync(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await check())) if (performance.now() > end) throw new Error(`not within 10 s: ${what}`);
}

const NOTHING = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  extensions: [],
} as const;

const STRICT: Authorization = {
  name: 'strict',
  namespace: 'istio-system',
  scope: 'GLOBAL',
  action: 'DENY',
  rules: [{ clauses: [{ matches: [{ ...NOTHING, notPrincipals: [{ kind: 'presence' }] }] }] }],
  dryRun: false,
  extensions: [],
};
