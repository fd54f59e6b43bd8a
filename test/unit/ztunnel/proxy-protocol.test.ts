/** The PROXY header read back by the specification (haproxy.org, proxy-protocol.txt, 2.2), not by the code under test. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ipFromBytes, type SocketAddress } from '../../../src/base/ip.ts';
import { proxyHeader } from '../../../src/ztunnel/proxy/proxy-protocol.ts';
import { address } from '../../support/reactor-harness.ts';

const ORDERS = 'spiffe://cluster.local/ns/shop/sa/orders';

interface Header {
  readonly family: 'TCP4' | 'TCP6';
  readonly source: string;
  readonly destination: string;
  readonly values: ReadonlyMap<number, string>;
}

/** Throws on anything that a strict receiver would refuse. */
function read(bytes: Uint8Array): Header {
  const data = Buffer.from(bytes);
  assert.equal(data.subarray(0, 12).toString('latin1'), '\r\n\r\n\0\r\nQUIT\n');
  assert.equal(data[12]! >> 4, 2, 'version');
  assert.equal(data[12]! & 0xf, 1, 'command PROXY');
  assert.equal(data[13]! & 0xf, 1, 'STREAM');
  const family = data[13]! >> 4;
  assert.ok(family === 1 || family === 2, 'AF_INET or AF_INET6');
  assert.equal(data.readUInt16BE(14), data.length - 16, 'length of what follows');
  const size = family === 1 ? 4 : 16;
  const ends = [0, 1].map((end) => {
    const at = 16 + end * size;
    const port = data.readUInt16BE(16 + 2 * size + 2 * end);
    return `${plain(data.subarray(at, at + size))} ${port}`;
  });
  const values = readValues(data.subarray(16 + 2 * size + 4));
  return { family: family === 1 ? 'TCP4' : 'TCP6', source: ends[0]!, destination: ends[1]!, values };
}

/** Type, two bytes of length, value. */
function readValues(rest: Buffer): Map<number, string> {
  const values = new Map<number, string>();
  let at = 0;
  while (at < rest.length) {
    const end = at + 3 + rest.readUInt16BE(at + 1);
    assert.ok(end <= rest.length, 'a value does not reach beyond the header');
    values.set(rest[at]!, rest.subarray(at + 3, end).toString('utf8'));
    at = end;
  }
  return values;
}

/** Dotted, or eight groups of hexadecimal digits without leading zeros. */
function plain(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
}

test('a connection over IPv4 is told with both ends and the identity of the client', () => {
  const header = read(
    proxyHeader({
      source: address('10.244.1.2:40001'),
      destination: address('10.96.0.9:80'),
      identity: ORDERS,
    }),
  );
  assert.deepEqual(header, {
    family: 'TCP4',
    source: '10.244.1.2 40001',
    destination: '10.96.0.9 80',
    values: new Map([[0xd0, ORDERS]]),
  });
});

test('a connection over IPv6 is told in sixteen bytes for each end', () => {
  const header = read(
    proxyHeader({
      source: address('[fd00::1:2]:65535'),
      destination: address('[2001:db8::9]:443'),
      identity: undefined,
    }),
  );
  assert.deepEqual(header, {
    family: 'TCP6',
    source: 'fd00:0:0:0:0:0:1:2 65535',
    destination: '2001:db8:0:0:0:0:0:9 443',
    values: new Map(),
  });
});

test('where the ends are of different families both are told as IPv6, the other one mapped', () => {
  const v4 = address('10.0.0.1:1');
  const v6 = address('[fd00::1]:2');
  const one = read(proxyHeader({ source: v4, destination: v6, identity: ORDERS }));
  assert.deepEqual(
    [one.family, one.source, one.destination],
    ['TCP6', '0:0:0:0:0:ffff:a00:1 1', 'fd00:0:0:0:0:0:0:1 2'],
  );
  const other = read(proxyHeader({ source: v6, destination: v4, identity: ORDERS }));
  assert.deepEqual([other.source, other.destination], ['fd00:0:0:0:0:0:0:1 2', '0:0:0:0:0:ffff:a00:1 1']);
  assert.equal(other.values.get(0xd0), ORDERS);
});

test('any two ends and any identity can be read back', () => {
  const ends = fc.tuple(fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), v6Bytes()), fc.nat(65535));
  const identity = fc.option(
    fc.stringMatching(/^spiffe:\/\/[a-z.]{1,300}\/ns\/[a-z]{1,63}\/sa\/[a-z]{1,63}$/),
    {
      nil: undefined,
    },
  );
  fc.assert(
    fc.property(ends, ends, identity, (from, to, uri) => {
      const header = read(proxyHeader({ source: end(from), destination: end(to), identity: uri }));
      assert.equal(header.values.get(0xd0), uri);
      assert.equal(header.source.split(' ')[1], String(from[1]));
      assert.equal(header.destination.split(' ')[1], String(to[1]));
      const both4 = from[0].length === 4 && to[0].length === 4;
      assert.equal(header.family, both4 ? 'TCP4' : 'TCP6');
      if (both4) assert.equal(header.source.split(' ')[0], from[0].join('.'));
    }),
  );
});

/** No mapped addresses: those are written as IPv4 throughout the proxy. */
function v6Bytes() {
  return fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => bytes[0]! > 0);
}

function end([bytes, port]: [Uint8Array, number]): SocketAddress {
  return { ip: ipFromBytes(bytes)!, port };
}
