/** SO_REUSEPORT groups: counted across processes, led from one set of listeners to another without losing a connection. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../src/io/tcp-socket.ts';
import { UdpSocket } from '../../src/io/udp-socket.ts';
import { countListeners } from '../../src/sys/reuse-port.ts';
import type { KnockReport } from '../support/knock-main.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';
import { address, testReactor, until } from '../support/reactor-harness.ts';

const PORT = 15008;
const CALLS = 40;
const KNOCK = join(import.meta.dirname, '..', 'support', 'knock-main.ts');
const KNOCKED_PORT = 15006;
/** Of those who do not wait for handshakes before they leave about one in twenty resets a connection. */
const ROUNDS = 200;
/** /proc/net/tcp: a local address with this port, and the state of a connection whose handshake is under way. */
const HALF_OPEN = new RegExp(`:${KNOCKED_PORT.toString(16).toUpperCase()} \\S+ 03 `);

inOwnNamespaces(import.meta.filename, () => {
  const reactor = testReactor();
  const pod = new PodNamespace();
  const clients: TcpSocket[] = [];
  after(() => {
    for (const client of clients) client.close();
    pod.close();
  });

  function listeners(count: number, accepted: number[], { ip = '::', port = PORT } = {}): TcpListener[] {
    return Array.from({ length: count }, () => {
      const index = accepted.push(0) - 1;
      return TcpListener.listen(
        reactor,
        { ip: parseIp(ip)!, port },
        { namespace: pod.namespace, reusePort: true },
        (socket) => {
          accepted[index]!++;
          socket.close();
        },
      );
    });
  }

  /** As proxies do by letting half a second pass: of those who ignore what is new nobody is in a handshake then. */
  async function handshakesOver(): Promise<void> {
    const files = ['tcp', 'tcp6'].map((name) => `/proc/thread-self/net/${name}`);
    const isOne = (file: string) => HALF_OPEN.test(pod.namespace.run(() => readFileSync(file, 'latin1')));
    await until(() => !files.some(isOne), 'a moment without handshakes');
  }

  /** Waits until all of them have been accepted by somebody. */
  async function call(accepted: number[]): Promise<number[]> {
    accepted.fill(0);
    for (let i = 0; i < CALLS; i++) {
      clients.push(TcpSocket.connect(reactor, address(`127.0.0.1:${PORT}`), { namespace: pod.namespace }));
    }
    await until(() => accepted.reduce((sum, one) => sum + one, 0) === CALLS, 'all connections');
    return [...accepted];
  }

  test('listeners are counted by family, port and namespace', () => {
    const six = listeners(3, []);
    const four = listeners(1, [], { ip: '127.0.0.1', port: 15053 });
    const count = (port: number, family: 4 | 6) => pod.namespace.run(() => countListeners(port, family));
    assert.deepEqual(
      [count(PORT, 6), count(PORT, 4), count(15053, 4), count(15053, 6), count(80, 6)],
      [3, 0, 1, 0, 0],
    );
    assert.equal(countListeners(PORT, 6), 0);
    for (const listener of [...six, ...four]) listener.close();
    assert.equal(count(PORT, 6), 0);
  });

  for (const [old, next] of [
    [2, 2],
    [1, 3],
    [3, 1],
  ] as const) {
    test(`${old} listeners lead what is new to the ${next} that came after them, which share it when the others are gone`, async () => {
      const accepted: number[] = [];
      const before = listeners(old, accepted);
      const after = listeners(next, accepted);
      before[0]!.steer(Math.max(old, next));
      const whileBoth = await call(accepted);
      assert.deepEqual(whileBoth.slice(0, old), Array(old).fill(0));
      for (const listener of before) listener.closeEmptied();
      const afterwards = await call(accepted);
      assert.ok(
        afterwards.slice(old).every((count) => count > 0),
        `shared as ${afterwards}`,
      );
      for (const listener of after) listener.close();
    });
  }

  test('connections that wait in the queue of a listener are taken before it closes', async () => {
    let accepted = 0;
    const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
      accepted++;
      socket.close();
    });
    for (let i = 0; i < CALLS; i++) clients.push(TcpSocket.connect(reactor, listener.localAddress, {}));
    // Connected in the kernel, while this thread has not been back in its loop to accept any.
    listener.closeEmptied();
    assert.equal(accepted, CALLS);
  });

  test('who calls when only a listener that ignores what is new is left is not refused, and the next listener takes the call', async () => {
    const accepted: number[] = [];
    const leaving = listeners(1, accepted)[0]!;
    leaving.ignoreNew();
    clients.push(TcpSocket.connect(reactor, address(`127.0.0.1:${PORT}`), { namespace: pod.namespace }));
    const next = listeners(1, accepted)[0]!;
    leaving.closeEmptied();
    await until(() => accepted[1] === 1, 'the second attempt of the caller');
    assert.equal(accepted[0], 0);
    next.close();
  });

  test('while connections come without a pause, three listeners leave one after another, and none is reset', async (t) => {
    const accepted: number[] = [];
    const open = (count: number) => listeners(count, accepted, { port: KNOCKED_PORT });
    let present = open(3);
    const knocker = pod.namespace.run(() =>
      spawn(process.execPath, [KNOCK, String(KNOCKED_PORT)], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    t.after(() => knocker.kill('SIGKILL'));
    const report = json(knocker.stdout) as Promise<KnockReport>;
    for (let round = 0; round < ROUNDS; round++) {
      const known = accepted.length;
      const next = open(1);
      present[0]!.steer(present.length);
      for (const listener of present) listener.ignoreNew();
      await until(() => accepted[known]! > 0, 'a connection by the next one');
      await handshakesOver();
      // Once the first has left, the kernel chooses among all again.
      for (const listener of present) listener.closeEmptied();
      present = [...next, ...open(2)];
      await until(() => accepted.at(-1)! > 0, 'a connection by the last one');
    }
    knocker.kill('SIGTERM');
    const { calls, failures } = await report;
    for (const listener of present) listener.close();
    assert.deepEqual(failures, []);
    assert.ok(calls > ROUNDS, `${calls} calls`);
  });

  test('a group that was led elsewhere is shared again once somebody new listens', async () => {
    const accepted: number[] = [];
    const first = listeners(2, accepted);
    first[0]!.steer(1);
    assert.deepEqual(await call(accepted), [0, CALLS]);
    const second = listeners(1, accepted);
    const shared = await call(accepted);
    assert.ok(
      shared.every((count) => count > 0),
      `shared as ${shared}`,
    );
    for (const listener of [...first, ...second]) listener.close();
  });

  test('datagrams are led elsewhere too', async () => {
    const got = [0, 0];
    const at = address('127.0.0.1:15053');
    const sockets = got.map((_, i) =>
      UdpSocket.bind(reactor, at, { namespace: pod.namespace, reusePort: true }, () => got[i]!++),
    );
    sockets[0]!.steer(1);
    const senders = Array.from({ length: CALLS }, () =>
      UdpSocket.bind(reactor, address('127.0.0.1:0'), { namespace: pod.namespace }, () => {}),
    );
    for (const sender of senders) sender.send(Uint8Array.of(1), at);
    await until(() => got[0]! + got[1]! === CALLS, 'all datagrams');
    assert.deepEqual(got, [0, CALLS]);
    for (const socket of [...sockets, ...senders]) socket.close();
  });
});
