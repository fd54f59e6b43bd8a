/** What a proxy does only when it is told to: SOCKS5 for applications, TLS 1.2 for peers, other socket options. */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type CertificateAuthority, makeLeaf, makeRoot } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { openTls, sendPlain } from '../support/hostile-peer.ts';
import { MeshNode, serviceOf, workloadOf } from '../support/mesh-node.ts';
import { type LivePod, MeshPods, shellInPod } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

const [HTTP, ECHO] = [8080, 9000];
const VIP = '10.96.0.1';

inOwnNamespaces(
  import.meta.filename,
  () => {
    const authority: CertificateAuthority = makeRoot('mesh root');
    const pods = new MeshPods();
    const client = pods.make('client', 1);
    const server = pods.make('server', 2);
    pods.attachSelf(9);
    const nodes: MeshNode[] = [];
    let http: Server;
    let echo: TcpServer;

    async function startNode(pod: LivePod, options: Readonly<Record<string, string>>): Promise<void> {
      const node = new MeshNode(authority);
      nodes.push(node);
      await node.start(options);
      assert.equal(await node.addPod(pod), undefined);
      const services = new Map([
        ['shop/web.shop.svc.cluster.local', [{ servicePort: 80, targetPort: HTTP }]],
      ]);
      node.workloads(workloadOf(client), workloadOf(server, { services }));
      node.services(serviceOf('web', 'shop', [VIP], { 80: HTTP }));
    }

    before(async () => {
      await pods.redirect(client, server);
      const keepAlive = { KEEPALIVE_TIME: '77s', USER_TIMEOUT_ENABLED: 'true' };
      await startNode(client, { UNSTABLE_ENABLE_SOCKS5: 'true', ...keepAlive });
      await startNode(server, {
        UNSTABLE_ENABLE_SOCKS5: 'true',
        TLS12_ENABLED: 'true',
        KEEPALIVE_ENABLED: 'false',
      });
      http = createServer((_, response) => response.end('served'));
      echo = createTcpServer((socket) => socket.on('error', () => {}).pipe(socket));
      server.netns.namespace.run(() => {
        http.listen(HTTP);
        echo.listen(ECHO);
      });
    });

    after(() => {
      http.close();
      http.closeAllConnections();
      echo.close();
      for (const node of nodes) assert.deepEqual(node.failures, []);
    });

    describe('an application that speaks SOCKS5', () => {
      const curl = (...words: readonly string[]) =>
        shellInPod(client, `curl -sS -m 8 ${words.join(' ')} 2>&1`, 12);
      const opened = (labels: Readonly<Record<string, string>>) =>
        nodes[1]!.total('istio_tcp_connections_opened_total', labels);
      const byAddress = '--socks5 127.0.0.1:15080';
      const byName = '--socks5-hostname 127.0.0.1:15080';

      for (const [what, proxy, url] of [
        ['an IPv4 address', byAddress, `http://10.0.0.2:${HTTP}/`],
        ['an IPv6 address', byAddress, `http://[fd00::2]:${HTTP}/`],
        ['the address of a service', byAddress, `http://${VIP}/`],
        ['the name of a service', byName, 'http://web.shop.svc.cluster.local/'],
        ['a short name', byName, 'http://web/'],
        ['an address as a name', byName, `http://10.0.0.2:${HTTP}/`],
      ] as const) {
        test(`reaches ${what} through the mesh`, async () => {
          const before = opened({});
          assert.equal(await curl(proxy, `'${url}'`), 'served');
          const secured = { connection_security_policy: 'mutual_tls' };
          await eventually('it is counted as mutual TLS', () => opened(secured) === before + 1);
          assert.equal(opened({}), before + 1);
        });
      }

      test('is told when a name is nobody’s, and when nobody listens', async () => {
        assert.match(await curl(byName, 'http://nobody.invalid/'), /nobody\.invalid\. \(4\)/);
        assert.match(await curl(byAddress, 'http://10.0.0.2:9/'), /10\.0\.0\.2\. \(4\)/);
        assert.match(await curl(byAddress, 'http://127.0.0.1:9/'), /127\.0\.0\.1\. \(5\)/);
        assert.match(await curl(byAddress, 'http://127.0.0.1:15001/'), /127\.0\.0\.1\. \(2\)/);
        assert.match(nodes[0]!.log, /no address of "nobody\.invalid" is known/);
      });

      test('may send its own bytes behind the request at once, or everything byte by byte', async () => {
        const request = '\\x05\\x01\\x00\\x05\\x01\\x00\\x01\\x0a\\x00\\x00\\x02\\x23\\x28hello';
        const answer = '0500050000010000000000006 8656c6c6f'.replace(' ', '');
        const read = `timeout 5 head -c 17 <&3 | od -An -tx1 | tr -d ' \\n'`;
        const open = 'exec 3<>/dev/tcp/127.0.0.1/15080';
        assert.equal(await shellInPod(client, `${open}; printf '${request}' >&3; ${read}`), answer);
        const slowly = request
          .match(/\\x..|./g)!
          .map((one) => `printf '${one}' >&3; sleep 0.02`)
          .join('; ');
        assert.equal(await shellInPod(client, `${open}; (${slowly}); ${read}`), answer);
      });

      for (const [what, bytes, answer] of [
        ['another protocol', 'GET / HTTP/1.1\\r\\n\\r\\n', ''],
        ['SOCKS4', '\\x04\\x01\\x00\\x50\\x0a\\x00\\x00\\x02\\x00', ''],
        ['somebody who insists on a password', '\\x05\\x01\\x02', '05ff'],
        ['no method at all', '\\x05\\x00', '05ff'],
        [
          'BIND',
          '\\x05\\x01\\x00\\x05\\x02\\x00\\x01\\x0a\\x00\\x00\\x02\\x23\\x28',
          '050005070001000000000000',
        ],
        [
          'an address of a kind that is none',
          '\\x05\\x01\\x00\\x05\\x01\\x00\\x09\\x0a',
          '050005080001000000000000',
        ],
      ] as const) {
        test(`${what} is refused`, async () => {
          const script = `exec 3<>/dev/tcp/127.0.0.1/15080; printf '${bytes}' >&3; cat <&3 | od -An -tx1 | tr -d ' \\n'`;
          const from = nodes[0]!.log.length;
          assert.equal(await shellInPod(client, script), answer);
          await eventually('it is told', () => nodes[0]!.log.includes('AMBIT_SOCKS5_REFUSED', from));
        });
      }

      test('is the only one: from elsewhere the port is none, by plain text or through a tunnel', async () => {
        const from = nodes[1]!.log.length;
        const knock = (ip: string) =>
          shellInPod(client, `exec 3<>/dev/tcp/${ip}/15080; printf x >&3; timeout 5 cat <&3; echo over`);
        assert.equal(await knock('10.0.0.2'), 'over\n');
        await eventually('it is told', () => nodes[1]!.log.includes('AMBIT_SELF_CALL', from));
        const next = nodes[1]!.log.length;
        await sendPlain({ host: '10.0.0.2', port: 15080 }, 'x');
        await eventually('it is told', () => nodes[1]!.log.includes('AMBIT_SELF_CALL', next));
      });
    });

    async function handshake(pod: LivePod, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> {
      const leaf = makeLeaf(authority, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/other' });
      const target = { host: pod.addresses[0]!, port: 15008 };
      const socket: TLSSocket = openTls(target, { leaf, minVersion: 'TLSv1.2', maxVersion });
      const { promise, resolve } = Promise.withResolvers<string | null>();
      socket.once('secureConnect', () => resolve(socket.getProtocol()));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      return promise.finally(() => socket.destroy());
    }

    test('TLS 1.2 is met with 1.2 where that is allowed, and 1.3 stays what is used otherwise', async () => {
      assert.equal(await handshake(server, 'TLSv1.2'), 'TLSv1.2');
      assert.equal(await handshake(server, 'TLSv1.3'), 'TLSv1.3');
      assert.match(String(await handshake(client, 'TLSv1.2')), /PROTOCOL_VERSION|ECONNRESET/);
    });

    test('keep-alive is as it was asked for on connections of both directions, or off', async () => {
      const open = 'exec 3<>/dev/tcp/10.0.0.2/9000; printf x >&3; head -c 1 <&3 >/dev/null';
      const timers = (pod: LivePod, own: string) => pod.netns.run(`ss -Htno state established '${own}'`);
      const held = shellInPod(client, `${open}; sleep 2`);
      await eventually(
        'it stands',
        () => nodes[1]!.log.length >= 0 && timers(server, 'sport = :9000') !== '',
      );
      const near = timers(client, '( sport = :15001 or dport = :15008 )');
      assert.match(near, /timer:\(keepalive,1min/);
      assert.doesNotMatch(timers(server, 'sport = :15008'), /keepalive/);
      await held;
    });
  },
  { users: 'one' },
);
