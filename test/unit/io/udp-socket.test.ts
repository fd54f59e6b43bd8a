/** UDP over real loopback sockets. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import type { SocketAddress } from '../../../src/base/ip.ts';
import { UdpSocket } from '../../../src/io/udp-socket.ts';
import { address, testReactor, until } from '../../support/reactor-harness.ts';

const reactor = testReactor();

function echo(where: string): UdpSocket {
  const socket = UdpSocket.bind(reactor, address(where), {}, (data, from) => {
    socket.send(data, from);
  });
  after(() => socket.close());
  return socket;
}

async function ask(port: number, host: string, family: 'udp4' | 'udp6', text: string): Promise<string> {
  const client = createSocket(family);
  client.send(text, port, host);
  const [answer] = (await once(client, 'message')) as [Buffer];
  client.close();
  return answer.toString();
}

test('a datagram is answered to where it came from', async () => {
  const server = echo('127.0.0.1:0');
  assert.equal(await ask(server.localAddress.port, '127.0.0.1', 'udp4', 'hello'), 'hello');
});

test('a socket on :: serves IPv4 and IPv6 and tells IPv4 peers as such', async () => {
  const senders: SocketAddress[] = [];
  const socket = UdpSocket.bind(reactor, address('[::]:0'), {}, (data, from) => {
    senders.push(from);
    socket.send(data, from);
  });
  after(() => socket.close());
  assert.equal(await ask(socket.localAddress.port, '127.0.0.1', 'udp4', 'four'), 'four');
  assert.equal(await ask(socket.localAddress.port, '::1', 'udp6', 'six'), 'six');
  assert.deepEqual(
    senders.map((sender) => sender.ip),
    ['127.0.0.1', '::1'],
  );
});

test('a burst larger than one turn takes arrives completely', async () => {
  let received = 0;
  const socket = UdpSocket.bind(reactor, address('127.0.0.1:0'), {}, () => received++);
  after(() => socket.close());
  const sender = UdpSocket.bind(reactor, address('127.0.0.1:0'), {}, () => {});
  for (let i = 0; i < 200; i++) assert.ok(sender.send(Buffer.from([i]), socket.localAddress));
  await until(() => received === 200);
  sender.close();
});

test('an empty and a maximal datagram arrive whole', async () => {
  const lengths: number[] = [];
  const socket = UdpSocket.bind(reactor, address('127.0.0.1:0'), {}, (data) => lengths.push(data.length));
  after(() => socket.close());
  socket.send(new Uint8Array(0), socket.localAddress);
  socket.send(new Uint8Array(65_507), socket.localAddress);
  assert.equal(socket.send(new Uint8Array(65_508), socket.localAddress), false);
  await until(() => lengths.length === 2);
  assert.deepEqual(lengths, [0, 65_507]);
});

test('an exception for one datagram does not end the socket', async () => {
  const received: string[] = [];
  const socket = UdpSocket.bind(reactor, address('127.0.0.1:0'), {}, (data) => {
    if (data.length === 0) throw new Error('thrown on purpose');
    received.push(Buffer.from(data).toString());
  });
  after(() => socket.close());
  socket.send(new Uint8Array(0), socket.localAddress);
  socket.send(Buffer.from('after'), socket.localAddress);
  await until(() => received.length === 1);
});

test('sending to a port without a listener does not disturb the socket', async () => {
  const gone = UdpSocket.bind(reactor, address('127.0.0.1:0'), {}, () => {});
  gone.close();
  const server = echo('127.0.0.1:0');
  server.send(Buffer.from('lost'), gone.localAddress);
  assert.equal(await ask(server.localAddress.port, '127.0.0.1', 'udp4', 'still here'), 'still here');
});

test('a port in use is refused, unless both sockets ask to share it', () => {
  const first = UdpSocket.bind(reactor, address('127.0.0.1:0'), {}, () => {});
  assert.throws(
    () => UdpSocket.bind(reactor, first.localAddress, {}, () => {}),
    (error: AmbitError) => error.code === 'AMBIT_LISTEN_FAILED' && error.message.includes('EADDRINUSE'),
  );
  first.close();
  const shared = [0, 1].map(() =>
    UdpSocket.bind(reactor, address('127.0.0.1:0'), { reusePort: true }, () => {}),
  );
  const third = UdpSocket.bind(reactor, shared[0]!.localAddress, { reusePort: true }, () => {});
  for (const socket of [...shared, third]) socket.close();
});
