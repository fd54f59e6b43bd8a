/** Hostile peers on every port that a proxy has in a pod: each is refused with a code, and nobody else notices. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import { UdpSocket } from '../../src/io/udp-socket.ts';
import { CALL_PROGRAM, CallLoop, callArguments } from '../support/call-loop.ts';
import { type Leaf, makeLeaf, makeRevocationList, makeRoot } from '../support/certificates.ts';
import { denyPolicy } from '../support/deny-policy.ts';
import { eventually, eventuallyAnswers } from '../support/eventually.ts';
import {
  clientHello,
  drip,
  openHttp2,
  openTls,
  sendAndLeave,
  sendPlain,
  sendTls,
  statusOf,
  untilClosed,
} from '../support/hostile-peer.ts';
import { HeaderCodec, PREFACE, rstStream, settings } from '../support/http2-frames.ts';
import { MeshNode, workloadOf } from '../support/mesh-node.ts';
import { MeshPods, runInPod, shellInPod } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { testReactor } from '../support/reactor-harness.ts';

const PORT = 8080;
const ATTACKER = 'spiffe://cluster.local/ns/shop/sa/attacker';
const GARBAGE = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7919 + 13) & 0xff));

function connectTo(authority: string): OutgoingHttpHeaders {
  return { ':method': 'CONNECT', ':authority': authority };
}

inOwnNamespaces(
  import.meta.filename,
  () => {
    const authority = makeRoot('mesh root');
    const pods = new MeshPods();
    const client = pods.make('client', 1);
    const server = pods.make('server', 2);
    pods.attachSelf(9);
    const hbone = { host: '10.0.0.2', port: 15008 };
    const attacker = makeLeaf(authority, { spiffeId: ATTACKER });
    const nodes: MeshNode[] = [];
    const reactor = testReactor();
    const sessions: ClientHttp2Session[] = [];
    let listener: Server;
    let neighbour: CallLoop;

    before(async () => {
      await pods.redirect(client, server);
      for (const pod of [client, server]) {
        const node = new MeshNode(authority);
        nodes.push(node);
        await node.start();
        assert.equal(await node.addPod(pod), undefined);
        node.workloads(workloadOf(client), workloadOf(server));
      }
      listener = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.pipe(socket);
      });
      server.netns.namespace.run(() => listener.listen(PORT));
      neighbour = new CallLoop(runInPod(client, CALL_PROGRAM, ...callArguments('10.0.0.2', PORT)));
      await neighbour.succeeded(Date.now());
    });

    after(() => {
      for (const session of sessions) session.destroy();
      neighbour.stop();
      listener.close();
      for (const node of nodes) {
        assert.deepEqual(node.failures, []);
        assert.doesNotMatch(node.log, /an event handler failed/);
      }
    });

    async function openSession(leaf: Leaf): Promise<ClientHttp2Session> {
      const session = await openHttp2(hbone, leaf);
      sessions.push(session);
      return session;
    }

    /** What the server's proxy says of an attack, by the code in its log. */
    async function answered(code: string, attack: () => unknown): Promise<void> {
      const from = nodes[1]!.log.length;
      await attack();
      await eventually(`${code} in the log`, () => nodes[1]!.log.includes(code, from)).catch((thrown) => {
        throw new Error(`${thrown.message}; there is ${nodes[1]!.log.slice(from)}`);
      });
    }

    describe('on the HBONE port', () => {
      const otherRoot = makeRoot('another mesh');
      const leaf = (options: Parameters<typeof makeLeaf>[1], issuer = authority) => ({
        leaf: makeLeaf(issuer, options),
      });

      for (const [what, code, attack] of [
        ['garbage', 'AMBIT_TLS_HANDSHAKE_FAILED', () => sendPlain(hbone, GARBAGE)],
        [
          'plain HTTP',
          'AMBIT_TLS_HANDSHAKE_FAILED',
          () => sendPlain(hbone, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
        ],
        [
          'half a TLS handshake',
          'AMBIT_TLS_HANDSHAKE_FAILED',
          async () => sendAndLeave(hbone, (await clientHello()).subarray(0, 100)),
        ],
        [
          'TLS 1.2',
          'AMBIT_TLS_HANDSHAKE_FAILED',
          () => sendTls(hbone, { leaf: attacker, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }, PREFACE),
        ],
        ['no certificate', 'AMBIT_TLS_PEER_REJECTED', () => sendTls(hbone, {}, PREFACE)],
        [
          'a certificate of another authority',
          'AMBIT_TLS_PEER_REJECTED',
          () => sendTls(hbone, leaf({ spiffeId: ATTACKER }, otherRoot), PREFACE),
        ],
        [
          'an expired certificate',
          'AMBIT_TLS_PEER_REJECTED',
          () => sendTls(hbone, leaf({ spiffeId: ATTACKER, expired: true }), PREFACE),
        ],
        [
          'a certificate that is for servers only',
          'AMBIT_TLS_PEER_REJECTED',
          () => sendTls(hbone, leaf({ spiffeId: ATTACKER, purposes: 'serverAuth' }), PREFACE),
        ],
        [
          'an identity of another trust domain',
          'AMBIT_PEER_TRUST_DOMAIN',
          () => sendTls(hbone, leaf({ spiffeId: 'spiffe://other.example/ns/shop/sa/client' }), PREFACE),
        ],
        [
          'a certificate without an identity',
          'AMBIT_PEER_IDENTITY_MISSING',
          () => sendTls(hbone, leaf({ dnsName: 'client.shop' }), PREFACE),
        ],
        [
          'garbage instead of HTTP/2',
          'AMBIT_HTTP2_DOWNSTREAM_VIOLATION',
          () => sendTls(hbone, { leaf: attacker }, GARBAGE),
        ],
        [
          'garbage in the midst of HTTP/2',
          'AMBIT_HTTP2_DOWNSTREAM_VIOLATION',
          () =>
            sendTls(hbone, { leaf: attacker }, Buffer.concat([PREFACE, settings(), Buffer.alloc(100, 0xff)])),
        ],
        ['requests that are reset at once, by thousands', 'AMBIT_HTTP2_FLOOD', rapidResets],
      ] as const) {
        test(`${what} is refused with ${code}`, () => answered(code, attack));
      }

      async function rapidResets(): Promise<void> {
        const codec = new HeaderCodec();
        const request = [
          [':method', 'CONNECT'],
          [':authority', `10.0.0.2:${PORT}`],
        ] as const;
        const frames = Array.from({ length: 1200 }, (_, i) => [
          codec.headers(2 * i + 1, request),
          rstStream(2 * i + 1, 8),
        ]);
        await sendTls(hbone, { leaf: attacker }, Buffer.concat([PREFACE, settings(), ...frames.flat()]));
      }

      for (const [what, status, code, headers] of [
        ['to another pod', 400, 'AMBIT_IP_MISMATCH', connectTo(`10.0.0.1:${PORT}`)],
        ['to the outbound port of the proxy', 503, 'AMBIT_SELF_CALL', connectTo('10.0.0.2:15001')],
        ['to the HBONE port itself', 503, 'AMBIT_SELF_CALL', connectTo('10.0.0.2:15008')],
        ['to the loopback of the pod', 400, 'AMBIT_IP_MISMATCH', connectTo('127.0.0.1:15000')],
        [
          'to an unknown host name',
          503,
          'AMBIT_UNKNOWN_HOSTNAME',
          connectTo('nobody.shop.svc.cluster.local:80'),
        ],
        ['to a port that nobody listens on', 503, 'AMBIT_CONNECT_REFUSED', connectTo('10.0.0.2:9')],
        ['to an address that is none', 400, undefined, connectTo('10.0.0.256:80')],
        ['that is a GET', 400, undefined, { ':path': '/', ':authority': `10.0.0.2:${PORT}` }],
      ] as const) {
        test(`a request ${what} is answered with ${status}${code === undefined ? '' : `, and ${code} is logged`}`, async () => {
          const session = await openSession(attacker);
          const ask = async () => assert.equal(await statusOf(session, headers), status);
          await (code === undefined ? ask() : answered(code, ask));
        });
      }

      test('a request that policy forbids is answered with 401, and AMBIT_POLICY_DENIED is logged', async () => {
        const principal = { kind: 'exact', value: ATTACKER.slice('spiffe://'.length) } as const;
        nodes[1]!.policies(denyPolicy('shop', 'no-attackers', { principals: [principal] }));
        const session = await openSession(attacker);
        const request = connectTo(`10.0.0.2:${PORT}`);
        const untilStatus = async (wanted: number) => {
          const end = performance.now() + 10_000;
          while ((await statusOf(session, request)) !== wanted)
            assert.ok(performance.now() < end, `${wanted}`);
        };
        await answered('AMBIT_POLICY_DENIED', () => untilStatus(401));
        nodes[1]!.removePolicy('shop/no-attackers');
        await untilStatus(200);
      });

      test('a certificate that is revoked opens no tunnel any more, and the open ones are cut', async () => {
        const revoked = makeLeaf(authority, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/stolen' });
        const session = await openSession(revoked);
        const stream = session.request(connectTo(`10.0.0.2:${PORT}`));
        const [response] = (await once(stream, 'response')) as [IncomingHttpHeaders];
        assert.equal(response[':status'], 200);
        stream.on('error', () => {});
        const cut = new Promise((resolve) => stream.once('close', resolve));
        await answered('AMBIT_PEER_REVOKED', async () => {
          const content = Buffer.from(makeRevocationList(authority, revoked));
          nodes[1]!.pool.broadcast({ kind: 'revocations', content });
          await cut;
        });
        if (!session.closed) await once(session, 'close');
        await answered('AMBIT_PEER_REVOKED', () => sendTls(hbone, { leaf: revoked }, PREFACE));
      });
    });

    test('the other ports of the proxy are no destinations for anybody outside', async () => {
      for (const port of [15001, 15006]) {
        await answered('AMBIT_SELF_CALL', () => sendPlain({ host: '10.0.0.2', port }, GARBAGE));
      }
      await answered('AMBIT_CONNECT_REFUSED', () => sendPlain({ host: '10.0.0.2', port: 15053 }, GARBAGE));
    });

    test('garbage to the DNS port of a pod changes nothing', () => {
      const ip = parseIp('127.0.0.1')!;
      const { namespace } = server.netns;
      const socket = UdpSocket.bind(reactor, { ip, port: 0 }, { namespace }, () => {});
      for (let length = 0; length < 600; length++)
        socket.send(GARBAGE.subarray(0, length), { ip, port: 15053 });
      socket.close();
    });

    test('who is slow on purpose is not waited for', async () => {
      const hello = await clientHello();
      const silent = openTls(hbone, { leaf: attacker });
      await Promise.all([
        answered('AMBIT_TLS_HANDSHAKE_TIMED_OUT', () => sendPlain(hbone, '')),
        answered('AMBIT_TLS_HANDSHAKE_TIMED_OUT', () => drip(hbone, hello)),
        answered('AMBIT_HTTP2_UNRESPONSIVE', () => untilClosed(silent)),
        // Two bytes that announce a long question.
        shellInPod(server, 'exec 3<>/dev/tcp/127.0.0.1/15053; printf no >&3; cat <&3; echo closed', 20).then(
          (said) => assert.equal(said, 'closed\n'),
        ),
      ]);
    });

    test('a neighbour has not noticed anything, and what the attacks have left is nothing', async () => {
      const held = (kind: string) => nodes[1]!.total('ambit_resources_held', { kind });
      await neighbour.succeeded(Date.now());
      neighbour.stop();
      assert.deepEqual(neighbour.failures(), []);
      await eventually(
        'streams and buffers to be given back',
        () => held('http2_streams') + held('buffers') === 0,
      );
      // The last call has its answer before its connection is over.
      await eventuallyAnswers('connections to be over', async () => {
        return (await nodes[1]!.connections()).length === 0;
      });
    });

    test('a proxy that ends without a successor serves on while a tunnel is open, then says GOAWAY and takes nobody', async () => {
      const session = await openSession(attacker);
      const tunnel = session.request(connectTo(`10.0.0.2:${PORT}`));
      await once(tunnel, 'response');
      const goAway = once(session, 'goaway');
      const drained = nodes[1]!.pool.drain(20_000);
      tunnel.write('still here');
      assert.equal(String((await once(tunnel, 'data'))[0]), 'still here');
      assert.equal(await statusOf(await openSession(attacker), connectTo(`10.0.0.2:${PORT}`)), 200);
      tunnel.end();
      await goAway;
      await drained;
      await assert.rejects(openHttp2(hbone, attacker));
      assert.doesNotMatch(nodes[1]!.log, /AMBIT_DRAIN_DEADLINE/);
    });
  },
  { users: 'one' },
);
