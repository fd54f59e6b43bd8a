/** Forwarding of DNS to nameservers on their own port, in namespaces where that port may be opened. */

import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { after, test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import { Reactor } from '../../src/io/reactor.ts';
import { NetworkNamespace } from '../../src/sys/network-namespace.ts';
import { DnsForwarder, MAX_PENDING_QUERIES } from '../../src/ztunnel/dns/dns-forwarder.ts';
import { encodeName, parseQuery, RCODE_OK, writeAnswer } from '../../src/ztunnel/dns/dns-message.ts';

import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { withoutDescriptors } from '../support/without-descriptors.ts';

inOwnNamespaces(import.meta.filename, () => {
  const NAMESERVER = '127.0.0.53';
  const reactor = new Reactor();
  reactor.attachToNode();
  const namespace = NetworkNamespace.current();
  after(() => reactor.close());

  let exhausted = 0;
  const options = { namespace, mark: 0, onExhausted: () => exhausted++ };

  const QUERY = Uint8Array.from([
    0x12,
    0x34,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    ...encodeName('example.test'),
    0,
    16,
    0,
    1,
  ]);

  function answerTo(message: Uint8Array): Uint8Array {
    return writeAnswer(parseQuery(message)!, { rcode: RCODE_OK, records: [] }, 512);
  }

  function ask(forwarder: DnsForwarder, protocol: 'udp' | 'tcp'): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      const question = parseQuery(QUERY)!.question;
      const accepted = forwarder.forward({ protocol, message: QUERY, question, onAnswer: resolve });
      assert.ok(accepted);
    });
  }

  test('an answer over UDP comes back under the id of the client', async () => {
    const server = dgram.createSocket('udp4');
    server.on('message', (message, from) => {
      const forged = answerTo(message);
      forged[0]! ^= 1;
      server.send(forged, from.port, from.address);
      server.send(answerTo(message), from.port, from.address);
    });
    server.bind(53, NAMESERVER);
    await once(server, 'listening');
    const forwarder = new DnsForwarder(reactor, [parseIp(NAMESERVER)!], options);
    const answer = await ask(forwarder, 'udp');
    assert.deepEqual([answer?.[0], answer?.[1]], [0x12, 0x34]);
    forwarder.close();
    server.close();
  });

  test('a client of TCP is answered over TCP', async () => {
    const server = net.createServer((socket) => {
      socket.once('data', (data: Buffer) => {
        const answer = answerTo(data.subarray(2));
        socket.write(Uint8Array.of(answer.length >> 8));
        socket.end(Uint8Array.from([answer.length & 0xff, ...answer]));
      });
    });
    server.listen(53, NAMESERVER);
    await once(server, 'listening');
    const forwarder = new DnsForwarder(reactor, [parseIp(NAMESERVER)!], options);
    const answer = await ask(forwarder, 'tcp');
    assert.deepEqual([answer?.[0], answer?.[1]], [0x12, 0x34]);
    forwarder.close();
    server.close();
  });

  test('a nameserver that refuses is followed by the next, and the last by an empty answer', async () => {
    const forwarder = new DnsForwarder(reactor, [parseIp('127.0.0.54')!, parseIp('127.0.0.55')!], options);
    assert.equal(await ask(forwarder, 'tcp'), undefined);
    forwarder.close();
  });

  test('without a nameserver the client hears at once that nobody answers, and no limit is reached', async () => {
    const forwarder = new DnsForwarder(reactor, [], options);
    assert.equal(await ask(forwarder, 'udp'), undefined);
    assert.equal(forwarder.pending, 0);
  });

  test('without a descriptor the client hears at once that nobody answers, the limit is told, and with one it is asked again', async () => {
    const nameservers = ['127.0.0.57', '127.0.0.58'].map((text) => parseIp(text)!);
    const forwarder = new DnsForwarder(reactor, nameservers, options);
    assert.equal(await withoutDescriptors(() => ask(forwarder, 'udp')), undefined);
    assert.equal(forwarder.pending, 0);
    assert.equal(exhausted, 1);
    void ask(forwarder, 'udp');
    assert.equal(forwarder.pending, 1);
    forwarder.close();
  });

  test('a pod that floods is refused beyond the limit', () => {
    const forwarder = new DnsForwarder(reactor, [parseIp('127.0.0.56')!], options);
    const question = parseQuery(QUERY)!.question;
    const query = { protocol: 'udp' as const, message: QUERY, question, onAnswer() {} };
    for (let i = 0; i < MAX_PENDING_QUERIES; i++) assert.ok(forwarder.forward(query));
    assert.equal(forwarder.forward(query), false);
    forwarder.close();
  });
});
