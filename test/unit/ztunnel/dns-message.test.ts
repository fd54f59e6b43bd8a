import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import dnsPromises from 'node:dns/promises';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../src/base/ip.ts';
import {
  answersQuery,
  type DnsRecord,
  encodeName,
  parseQuery,
  RCODE_OK,
  TYPE_A,
  TYPE_AAAA,
  writeAnswer,
  writeError,
} from '../../../src/ztunnel/dns/dns-message.ts';

const label = fc.stringMatching(/^[a-z0-9_*-]{1,20}$/);
const domainName = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));

function queryBytes(name: string, type: number, edns?: number): Uint8Array {
  const additional = edns === undefined ? [] : [0, 0, 41, edns >> 8, edns & 0xff, 0, 0, 0, 0, 0, 0];
  const header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1];
  return Uint8Array.from([...header, ...encodeName(name), type >> 8, type & 0xff, 0, 1, ...additional]);
}

test('a query is read back with its name in lower case', () => {
  fc.assert(
    fc.property(domainName, fc.constantFrom(TYPE_A, TYPE_AAAA, 16), (name, type) => {
      const query = parseQuery(queryBytes(name.toUpperCase(), type));
      assert.equal(query?.name, name);
      assert.equal(query?.type, type);
      assert.equal(query?.id, 0x1234);
    }),
  );
});

test('no bytes whatsoever make the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      parseQuery(bytes);
      writeError(bytes, 1);
      answersQuery(bytes, 1, bytes.subarray(0, 20));
    }),
  );
});

test('a query cut short anywhere is not a query', () => {
  const whole = queryBytes('orders.shop.svc.cluster.local', TYPE_A);
  for (let length = 0; length < whole.length; length++) {
    assert.equal(parseQuery(whole.subarray(0, length)), undefined, `${length} bytes`);
  }
});

test('a compressed name or a pointer loop in a question is refused', () => {
  const bytes = queryBytes('a.b', TYPE_A);
  bytes[12] = 0xc0;
  bytes[13] = 12;
  assert.equal(parseQuery(bytes), undefined);
});

test('a response is not taken for a query', () => {
  const bytes = queryBytes('a.b', TYPE_A);
  bytes[2] = 0x81;
  assert.equal(parseQuery(bytes), undefined);
});

test('an answer that does not fit is cut and says so', () => {
  const query = parseQuery(queryBytes('many.example', TYPE_A))!;
  const records: DnsRecord[] = Array.from({ length: 100 }, (_, i) => ({
    kind: 'address',
    name: 'many.example',
    ip: parseIp(`10.0.0.${i}`)!,
    ttlSeconds: 30,
  }));
  const answer = writeAnswer(query, { rcode: RCODE_OK, records }, query.udpBytes);
  assert.ok(answer.length <= 512);
  assert.equal(answer[2]! & 0x02, 0x02, 'TC');
  const whole = writeAnswer(query, { rcode: RCODE_OK, records }, 0xffff);
  assert.equal(whole[2]! & 0x02, 0);
});

test('an answer is accepted only for the same id and question, letter case aside', () => {
  const bytes = queryBytes('a.b', TYPE_A);
  const query = parseQuery(bytes)!;
  const answer = writeAnswer(query, { rcode: RCODE_OK, records: [] }, 512);
  assert.ok(answersQuery(answer, 0x1234, query.question));
  assert.ok(!answersQuery(answer, 0x1235, query.question));
  assert.ok(!answersQuery(answer, 0x1234, parseQuery(queryBytes('a.c', TYPE_A))!.question));
  assert.ok(answersQuery(answer, 0x1234, parseQuery(queryBytes('A.B', TYPE_A))!.question));
});

test('the resolver of the runtime understands addresses and a CNAME before them', async () => {
  const server = dgram.createSocket('udp4');
  server.on('message', (message, from) => {
    const query = parseQuery(message)!;
    const ip = parseIp(query.type === TYPE_A ? '10.96.0.7' : 'fd00::7')!;
    const records: DnsRecord[] = [
      { kind: 'cname', name: query.name, target: 'orders.shop.svc.cluster.local', ttlSeconds: 30 },
      { kind: 'address', name: 'orders.shop.svc.cluster.local', ip, ttlSeconds: 30 },
    ];
    server.send(writeAnswer(query, { rcode: RCODE_OK, records }, query.udpBytes), from.port, from.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const resolver = new dnsPromises.Resolver();
  resolver.setServers([`127.0.0.1:${(server.address() as AddressInfo).port}`]);
  assert.deepEqual(await resolver.resolve4('Orders.Shop'), ['10.96.0.7']);
  assert.deepEqual(await resolver.resolve6('orders.shop'), ['fd00::7']);
  server.close();
});
