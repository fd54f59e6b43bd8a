/** DNS over TCP as clients use it that end their side early, over real sockets. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { DnsTcpSession } from '../../../src/ztunnel/dns/dns-tcp-session.ts';
import { address, testReactor, until } from '../../support/reactor-harness.ts';

const reactor = testReactor();
const sessions: DnsTcpSession[] = [];
const asked: string[] = [];
let ended = 0;
let answersAtOnce = true;

const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
  const onMessage = (message: Uint8Array, session: DnsTcpSession) => {
    asked.push(Buffer.from(message).toString());
    if (answersAtOnce) session.send(message);
  };
  sessions.push(new DnsTcpSession(socket, { onMessage, onEnd: () => ended++ }));
});
after(() => listener.close());

function message(text: string): Buffer {
  return Buffer.concat([Buffer.of(0, text.length), Buffer.from(text)]);
}

async function askAndEnd(...texts: readonly string[]): Promise<Socket> {
  const client = createConnection({ host: '127.0.0.1', port: listener.localAddress.port });
  await once(client, 'connect');
  client.end(Buffer.concat(texts.map(message)));
  return client;
}

test('a client that ends its side with its last question is answered', async () => {
  const client = await askAndEnd('one', 'two');
  assert.deepEqual(await buffer(client), Buffer.concat([message('one'), message('two')]));
  await until(() => ended === 1);
});

test('an answer that has to be waited for reaches it too, and then the session ends', async () => {
  answersAtOnce = false;
  const client = await askAndEnd('three');
  await until(() => asked.includes('three'));
  const answer = buffer(client);
  const [session] = sessions.slice(-1);
  assert.equal(ended, 1);
  session!.send(Buffer.from('three'));
  assert.deepEqual(await answer, message('three'));
  await until(() => ended === 2);
});

test('a client that ends its side without a question is let go at once', async () => {
  const client = await askAndEnd();
  assert.equal((await buffer(client)).length, 0);
  await until(() => ended === 3);
});
