/** Two TCP connections joined in the kernel. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import { SpliceRelay } from '../../../src/io/splice-relay.ts';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../../src/io/tcp-socket.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { address, testReactor, until } from '../../support/reactor-harness.ts';
import { withoutDescriptors } from '../../support/without-descriptors.ts';

const reactor = testReactor();

interface Ended {
  readonly relay: SpliceRelay;
  ends: number;
  error: AmbitError | undefined;
}

/** A proxy that relays every connection to `port`. */
function relayTo(port: number): { readonly port: number; readonly relays: Ended[] } {
  const relays: Ended[] = [];
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (downstream) => {
    const upstream = TcpSocket.connect(
      reactor,
      address(`127.0.0.1:${port}`),
      {},
      {
        onConnected() {
          const record: Ended = { relay: undefined as unknown as SpliceRelay, ends: 0, error: undefined };
          const relay = new SpliceRelay(downstream, upstream, (error) => {
            record.ends++;
            record.error = error;
          });
          relays.push(Object.assign(record, { relay }));
        },
        onReadable() {},
        onWritable() {},
        onClosed: () => downstream.close(),
      },
    );
  });
  after(() => listener.close());
  return { port: listener.localAddress.port, relays };
}

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onConnection).listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  return (server.address() as { port: number }).port;
}

function connect(port: number): Socket {
  return createConnection({ host: '127.0.0.1', port, allowHalfOpen: true });
}

function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve());
  });
}

/** Before any other test: pipes that were used are kept. */
test('a relay that finds no descriptor for its pipes ends both connections', async () => {
  const accepted: TcpSocket[] = [];
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => accepted.push(socket));
  const clients = [connect(listener.localAddress.port), connect(listener.localAddress.port)];
  clients[0]!.write('said before the relay begins');
  await until(() => accepted.length === 2);
  const closed = Promise.all(clients.map(closeOf));
  const error = await withoutDescriptors(async () => {
    const ended = new Promise<AmbitError | undefined>((resolve) => {
      new SpliceRelay(accepted[0]!, accepted[1]!, resolve);
    });
    await closed;
    return ended;
  });
  assert.equal(error?.code, 'AMBIT_HANDLER_FAILED');
  listener.close();
});

test('bytes pass both ways unchanged, each end passes on, and both are counted', async () => {
  const proxy = relayTo(await serve((socket) => socket.pipe(socket)));
  const client = connect(proxy.port);
  const size = 20 * 1024 * 1024;
  const data = randomBytes(size);
  const hash = createHash('sha256');
  client.on('data', (chunk) => hash.update(chunk));
  client.end(data);
  await once(client, 'end');
  assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
  await until(() => proxy.relays[0]?.ends === 1);
  assert.equal(proxy.relays[0]!.error, undefined);
  assert.equal(proxy.relays[0]!.relay.bytesFromFirst, size);
  assert.equal(proxy.relays[0]!.relay.bytesFromSecond, size);
});

test('an answer may come after the end of the question', async () => {
  const proxy = relayTo(
    await serve((socket) => {
      socket.resume().on('end', () => socket.end('answer'));
    }),
  );
  const client = connect(proxy.port);
  client.end('question');
  const [answer] = (await once(client, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'answer');
  client.destroy();
});

test('a reset passes on', async () => {
  const proxy = relayTo(
    await serve((socket) => {
      socket.on('error', () => {}).on('data', () => socket.resetAndDestroy());
    }),
  );
  const client = connect(proxy.port);
  client.write('x');
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  await until(() => proxy.relays[0]?.ends === 1);
  assert.equal(proxy.relays[0]!.error?.code, 'AMBIT_UPSTREAM_RESET');
});

test('a receiver that pauses stops the sender, and nothing is lost', async () => {
  const sockets: Socket[] = [];
  const proxy = relayTo(await serve((socket) => sockets.push(socket.pause())));
  const client = connect(proxy.port);
  const size = 30 * 1024 * 1024;
  client.end(Buffer.alloc(size, 'a'));
  await until(() => (proxy.relays[0]?.relay.bytesFromFirst ?? 0) > 0);
  assert.ok(proxy.relays[0]!.relay.bytesFromFirst < size);
  let received = 0;
  sockets[0]!.on('data', (chunk) => {
    received += chunk.length;
  });
  sockets[0]!.resume();
  await once(sockets[0]!, 'end');
  assert.equal(received, size);
  sockets[0]!.end();
  await until(() => proxy.relays[0]?.ends === 1);
});

test('abort() resets both and leaves no descriptor', async () => {
  const upstreams: Socket[] = [];
  const proxy = relayTo(await serve((socket) => upstreams.push(socket.on('error', () => {}))));
  const warm = connect(proxy.port).on('error', () => {});
  await until(() => proxy.relays.length === 1);
  proxy.relays[0]!.relay.abort();
  await until(() => warm.closed && upstreams.every((socket) => socket.closed));
  const before = descriptorCount();
  const clients = Array.from({ length: 20 }, () => connect(proxy.port).on('error', () => {}));
  await until(() => proxy.relays.length === 21);
  for (const { relay } of proxy.relays) relay.abort();
  await until(() => [...clients, ...upstreams].every((socket) => socket.closed));
  assert.equal(descriptorCount(), before);
  assert.ok(proxy.relays.every(({ ends }) => ends === 1));
});

test('a reset is noticed while the other side takes nothing, and after the end of input', async () => {
  const proxy = relayTo(await serve((socket) => socket.pause().on('error', () => {})));
  const stuck = connect(proxy.port).on('error', () => {});
  stuck.write(Buffer.alloc(30 * 1024 * 1024));
  await until(() => (proxy.relays[0]?.relay.bytesFromFirst ?? 0) > 0);
  let moved = 0;
  await until(() => {
    const before = moved;
    moved = proxy.relays[0]!.relay.bytesFromFirst;
    return moved === before;
  });
  stuck.resetAndDestroy();
  await until(() => proxy.relays[0]!.ends === 1);
  assert.equal(proxy.relays[0]!.error?.code, 'AMBIT_DOWNSTREAM_RESET');

  const ended = connect(proxy.port).on('error', () => {});
  await once(ended, 'connect');
  ended.end();
  await once(ended, 'finish');
  await until(() => proxy.relays.length === 2);
  ended.resetAndDestroy();
  await until(() => proxy.relays[1]!.ends === 1);
  assert.equal(proxy.relays[1]!.error?.code, 'AMBIT_DOWNSTREAM_RESET');
});
