/** A listener that has run out of descriptors: a real process with a low limit. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { until } from '../../support/reactor-harness.ts';

const MODULE = (name: string): string =>
  JSON.stringify(new URL(`../../../src/${name}.ts`, import.meta.url).href);

const PROGRAM = `
  import { Reactor } from ${MODULE('io/reactor')};
  import { TcpListener } from ${MODULE('io/tcp-listener')};
  import { parseSocketAddress } from ${MODULE('base/ip')};
  import { NativeBuffer } from ${MODULE('sys/native-buffer')};
  const reactor = new Reactor();
  reactor.attachToNode();
  const buffer = new NativeBuffer(16);
  const listener = TcpListener.listen(reactor, parseSocketAddress('127.0.0.1:0'), {}, (socket) => {
    socket.handler = {
      onReadable() {
        const count = socket.receiveInto(buffer, 0, 16);
        if (count > 0) socket.sendFrom(buffer, 0, count);
        if (count === 0) socket.close();
      },
      onWritable() {},
      onClosed() {},
    };
  });
  console.log(listener.localAddress.port);
  setInterval(() => console.log(JSON.stringify({ pauses: listener.acceptPauses })), 50);
`;

test('without free descriptors a listener waits, counts that, keeps serving and goes on when there are some', async () => {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', PROGRAM];
  const child = spawn('sh', ['-c', 'ulimit -n 60 && exec "$0" "$@"', process.execPath, ...args]);
  after(() => child.kill());
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  child.stderr.pipe(process.stderr);
  await until(() => output.includes('\n'));
  const port = Number(output.split('\n')[0]);
  const pauses = (): number => JSON.parse(output.trim().split('\n').at(-1)!).pauses ?? 0;

  const echoed = new Set<Socket>();
  const connect = (): Socket => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    socket.on('data', () => echoed.add(socket));
    socket.write('x');
    return socket;
  };
  const first = connect();
  await once(first, 'data');
  const many = Array.from({ length: 60 }, connect);
  after(() => {
    for (const socket of [first, ...many]) socket.destroy();
  });
  await until(() => output.includes('"pauses":2'));
  assert.ok(many.some((socket) => !echoed.has(socket)));
  first.write('y');
  await once(first, 'data');

  for (const socket of many.filter((one) => echoed.has(one))) socket.destroy();
  await until(() => many.every((socket) => echoed.has(socket)), 'service of those that waited');
  assert.ok(pauses() >= 2);
});
