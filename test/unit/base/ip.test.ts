import assert from 'node:assert/strict';
import { BlockList, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  Cidr,
  formatSocketAddress,
  ipFromBytes,
  ipToBytes,
  parseIp,
  parseSocketAddress,
} from '../../../src/base/ip.ts';

test('every address survives the way through its bytes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const ip = parseIp(text)!;
      assert.equal(ipFromBytes(ipToBytes(ip)), ip);
    }),
  );
});

test('IPv6 text is the one that RFC 5952 asks for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const ip = ipFromBytes(bytes)!;
      if (!ip.includes(':')) return;
      assert.ok(isIPv6(ip), ip);
      assert.equal(ip, new URL(`http://[${ip}]/`).hostname.slice(1, -1));
    }),
  );
});

test('an IPv4-mapped address is the IPv4 address', () => {
  assert.equal(parseIp('::ffff:10.0.0.1'), '10.0.0.1');
  assert.equal(parseIp('::FFFF:0a00:1'), '10.0.0.1');
});

test('what is not an address is refused', () => {
  for (const text of ['', '1.2.3', '1.2.3.4.5', '01.2.3.4', 'fe80::1%eth0', '::g', 'localhost']) {
    assert.equal(parseIp(text), undefined, text);
  }
});

test('socket addresses survive formatting, and IPv6 needs brackets', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }), (text, port) => {
      const address = { ip: parseIp(text)!, port };
      assert.deepEqual(parseSocketAddress(formatSocketAddress(address)), address);
    }),
  );
  for (const text of ['10.0.0.1', '10.0.0.1:99999', 'fd00::1:80', '[10.0.0.1:80', ':80', 'host:80']) {
    assert.equal(parseSocketAddress(text), undefined, text);
  }
});

test('a block contains what the runtime’s own block list says it does', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (network, length, address) => {
      const list = new BlockList();
      list.addSubnet(network, length, 'ipv4');
      assert.equal(
        Cidr.parse(`${network}/${length}`)?.contains(parseIp(address)!),
        list.check(address, 'ipv4'),
      );
    }),
  );
});

test('a block of the other family contains nothing', () => {
  assert.equal(Cidr.parse('::/0')?.contains(parseIp('10.0.0.1')!), false);
  assert.equal(Cidr.parse('0.0.0.0/0')?.contains(parseIp('fd00::1')!), false);
  assert.equal(Cidr.parse('10.0.0.0/33'), undefined);
  assert.equal(Cidr.parse('10.0.0.0/'), undefined);
});
