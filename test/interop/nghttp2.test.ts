/**
 * HBONE and HTTP/2 with Debian's nghttp2 tools. nghttpx, as a proxy for HTTP/2, stands between two of our proxies, where a
 * waypoint does: it ends the HTTP/2 of the one and begins that of the other, and passes CONNECT on. It does not pass on the end of
 * one direction of a tunnel, so that tunnels through it end by resets alone. nghttp asks a pod's HBONE port, with a certificate. nghttpd and h2load know neither tunnels nor certificates of clients: they meet our HTTP/2
 * alone, in plain text, and send 100 MB in either direction.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parseIp } from '../../src/base/ip.ts';
import { Http2Connection } from '../../src/http/http2-connection.ts';
import { Http2Counters } from '../../src/http/http2-counters.ts';
import { defaultHttp2Settings } from '../../src/http/http2-settings.ts';
import { PlainStream } from '../../src/io/plain-stream.ts';
import { TcpSocket } from '../../src/io/tcp-socket.ts';
import { makeLeaf } from '../support/certificates.ts';
import { eventually, eventuallyAnswers } from '../support/eventually.ts';
import { echoServer, HashingRequest, nobody } from '../support/http2-echo.ts';
import { credentialsFolder, InteropWorld, identityOf } from '../support/interop-world.ts';
import { MeshNode, workloadOf } from '../support/mesh-node.ts';
import { shellInPod } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { address, testReactor } from '../support/reactor-harness.ts';
import { testResets } from '../support/tunnel-matrix.ts';

const HBONE_PORT = 15008;
const ECHO_PORT = 9000;
const DEADLINE_SECONDS = 60;
/** nghttpx passes on eight requests of a client at a time otherwise. */
const REQUESTS_PER_CLIENT = 1000;
/** The smallest windows of HTTP/2: 2 to the power of this, less one. */
const WINDOW_BITS = '16';
const LARGE = 100_000_000;
const run = promisify(execFile);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

inOwnNamespaces(
  import.meta.filename,
  () => {
    const children: ChildProcess[] = [];

    function start(program: string, ...args: readonly string[]): ChildProcess {
      const child = spawn(program, args, { stdio: 'ignore' });
      children.push(child);
      return child;
    }

    after(() => {
      for (const child of children) child.kill('SIGKILL');
    });

    describe('nghttpx between two of our proxies', () => {
      const world = new InteropWorld();
      const waypoint = world.pods.make('waypoint', 3);
      const far = new MeshNode(world.root);
      // Tunnels that have ended in order stay open behind nghttpx: what is left over is not looked at.
      const path = { ...world.outbound(), nodes: () => [] };
      const folder = credentialsFolder(
        makeLeaf(world.intermediate, { spiffeId: identityOf(waypoint) }),
        world.root.certificatePem,
      );
      let nghttpx: ChildProcess;
      let echo: Server;

      function startProxy(): ChildProcess {
        const file = (name: string) => join(folder, name);
        const client = [
          `--client-private-key-file=${file('key.pem')}`,
          `--client-cert-file=${file('chain.pem')}`,
        ];
        const server = ['--verify-client', `--verify-client-cacert=${file('root.pem')}`];
        // An identity is no host name: it does not verify that of the proxy behind it.
        const upstream = ['-k', '-b', `${world.theirs.addresses[0]},${HBONE_PORT};;proto=h2;tls`];
        const limit = `--backend-connections-per-host=${REQUESTS_PER_CLIENT}`;
        const words = [
          '--http2-proxy',
          limit,
          '--workers=1',
          '--conf=/dev/null',
          ...client,
          ...server,
          ...upstream,
        ];
        const listen = ['-f', `${waypoint.addresses[0]},${HBONE_PORT}`, file('key.pem'), file('chain.pem')];
        return start('ip', 'netns', 'exec', waypoint.netns.name, 'nghttpx', ...words, ...listen);
      }

      const listens = async () => (await shellInPod(waypoint, 'ss -Hltn')).includes(`:${HBONE_PORT} `);

      before(async () => {
        await world.start();
        echo = createServer((socket) => {
          socket.on('error', () => {});
          socket.pipe(socket);
        });
        world.theirs.netns.namespace.run(() => echo.listen(ECHO_PORT));
        await world.pods.redirect(world.theirs);
        await far.start();
        assert.equal(await far.addPod(world.theirs), undefined);
        world.certify(world.intermediate);
        far.install(identityOf(world.theirs), world.intermediate, world.root.certificatePem);
        const destination = { kind: 'address', network: '', ip: parseIp(waypoint.addresses[0]!)! } as const;
        const bound = { waypoint: { destination, hboneMtlsPort: HBONE_PORT } };
        for (const node of [world.node, far]) {
          node.workloads(
            workloadOf(world.ours),
            workloadOf(world.theirs, bound),
            workloadOf(waypoint, { nativeTunnel: true }),
          );
          await node.settled();
        }
        nghttpx = startProxy();
        await eventuallyAnswers('nghttpx to listen', listens);
      });

      after(() => {
        echo.close();
        world.stop();
        assert.deepEqual(far.failures, []);
      });

      /** Sends `bytes` to the echo server and compares what comes back, over each of `tunnels` tunnels at once. */
      async function echoes(bytes: number, tunnels: number): Promise<void> {
        const one = `(exec 3<>/dev/tcp/${path.host}/${ECHO_PORT}; head -c ${bytes} "$file" >&3 & head -c ${bytes} <&3 | sha256sum)`;
        const script = [
          'file=$(mktemp); trap "rm $file" EXIT',
          `head -c ${bytes} /dev/urandom >"$file"; sha256sum <"$file"`,
          `for i in $(seq ${tunnels}); do ${one} & done; wait`,
        ];
        const sums = (await shellInPod(world.ours, script.join('\n'), DEADLINE_SECONDS)).trim().split('\n');
        assert.equal(sums.length, tunnels + 1);
        assert.equal(new Set(sums).size, 1);
      }

      test('100 MB each way are carried through nghttpx, with windows of 64 KiB', async () => {
        await echoes(LARGE, 1);
        const labels = { reporter: 'destination', source_principal: identityOf(waypoint) };
        assert.equal(far.total('istio_tcp_connections_opened_total', labels), 1);
      });

      test('a hundred tunnels at once are carried through nghttpx', () => echoes(2_000_000, 100));
      testResets('through nghttpx', path);

      test('when nghttpx says GOAWAY an open tunnel goes on, and a new one takes the next nghttpx', async () => {
        const open = 'exec 3<>/dev/tcp/10.0.0.2/9000; echo one >&3; read -r line <&3; echo $line';
        const rest = 'read -r line; echo $line >&3; read -r line <&3; echo $line';
        const shell = spawn('ip', ['netns', 'exec', world.ours.netns.name, 'bash', '-c', `${open}; ${rest}`]);
        children.push(shell);
        const lines = createInterface(shell.stdout)[Symbol.asyncIterator]();
        assert.equal((await lines.next()).value, 'one');
        nghttpx.kill('SIGQUIT');
        await eventuallyAnswers('nghttpx to listen no more', async () => !(await listens()));
        shell.stdin.end('two\n');
        assert.equal((await lines.next()).value, 'two');
        nghttpx.kill('SIGKILL');
        nghttpx = startProxy();
        await eventuallyAnswers('nghttpx to listen', listens);
        await echoes(1000, 1);
      });

      test('nghttp is refused what is no CONNECT, and may ask again on the same connection', async () => {
        const [key, chain] = [join(folder, 'key.pem'), join(folder, 'chain.pem')];
        const url = `https://${world.theirs.addresses[0]}:${HBONE_PORT}/`;
        const said = await shellInPod(waypoint, `nghttp -nvm3 -y --key=${key} --cert=${chain} ${url}`);
        assert.equal(said.match(/:status: 400/g)?.length, 3, said);
      });
    });

    describe('our HTTP/2 alone', () => {
      const reactor = testReactor();
      const body = randomBytes(LARGE);

      test('sends 100 MB to nghttpd, with windows of 64 KiB, and gets them back', async () => {
        const port = '18080';
        start(
          'nghttpd',
          '--no-tls',
          '--echo-upload',
          '-w',
          WINDOW_BITS,
          '-W',
          WINDOW_BITS,
          '-a',
          '127.0.0.1',
          port,
        );
        await eventuallyAnswers('nghttpd to listen', async () =>
          (await run('ss', ['-Hltn'])).stdout.includes(port),
        );
        const ready = Promise.withResolvers<void>();
        const socket = TcpSocket.connect(reactor, address(`127.0.0.1:${port}`), {});
        const counters = new Http2Counters();
        const connection = new Http2Connection(new PlainStream(socket, nobody), {
          role: 'client',
          settings: defaultHttp2Settings,
          counters,
          events: { onReady: ready.resolve, onClosed() {} },
        });
        await ready.promise;
        const request = new HashingRequest();
        const fields = { ':method': 'POST', ':scheme': 'http', ':path': '/', ':authority': 'peer' };
        request.begin(connection, Object.entries(fields), body);
        assert.equal(await request.done, sha256(body));
        assert.equal(connection.heldBytes, 0);
        assert.equal(counters.protocolErrors, 0);
        connection.startDrain();
        await eventually('the connection to end', () => connection.openStreams === 0);
      });

      test('takes 100 MB of nghttp, with windows of 64 KiB, and gives them back', async () => {
        const server = echoServer(reactor);
        const file = join(process.env.TMPDIR!, 'body');
        writeFileSync(file, body);
        const words = ['-d', file, '-w', WINDOW_BITS, '-W', WINDOW_BITS, `http://127.0.0.1:${server.port}/`];
        const { stdout } = await run('nghttp', words, { encoding: 'buffer', maxBuffer: 2 * LARGE });
        assert.equal(sha256(stdout), sha256(body));
        assert.equal(server.counters.protocolErrors, 0);
        server.close();
      });

      test('takes 100 MB of ten h2load clients, in streams of 1 MB with windows of 64 KiB', async () => {
        const server = echoServer(reactor);
        const file = join(process.env.TMPDIR!, 'part');
        writeFileSync(file, body.subarray(0, 1_000_000));
        const load = ['-n', '100', '-c', '10', '-m', '5', '-w', WINDOW_BITS, '-W', WINDOW_BITS, '-d', file];
        const { stdout } = await run('h2load', [...load, `http://127.0.0.1:${server.port}/`]);
        assert.match(stdout, /100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout/);
        assert.match(stdout, /\(100000000\) data/);
        server.close();
      });
    });
  },
  { users: 'one' },
);
