/** Addresses, link commands and resolver files of a sandbox. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cidr, type IpAddress, parseIp } from '../../../src/base/ip.ts';
import { MAX_NODES } from '../../../src/sandbox/client/sandbox-protocol.ts';
import {
  dnsAddress,
  LAN_CIDRS,
  nodeAddress,
  PodAddressPool,
  podCidr,
  podGateway,
  SERVICE_CIDRS,
  ServiceAddressPool,
} from '../../../src/sandbox/network/address-plan.ts';
import { hostsFile, resolverFile } from '../../../src/sandbox/network/resolver-files.ts';

const FAMILIES = [4, 6] as const;

test('every address is written canonically and lies in its own block', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_NODES }), fc.constantFrom(...FAMILIES), (index, family) => {
      const node = nodeAddress(index, family);
      assert.equal(parseIp(node), node);
      assert.ok(Cidr.parse(LAN_CIDRS[family])?.contains(node));
      assert.ok(Cidr.parse(podCidr(index, family))?.contains(podGateway(index, family)));
      const { ips } = new PodAddressPool(index).take([family]);
      assert.equal(parseIp(ips[0]!), ips[0]);
      assert.ok(Cidr.parse(podCidr(index, family))?.contains(ips[0]!));
    }),
  );
});

test('pod blocks of different nodes share no address', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_NODES }), fc.integer({ min: 1, max: MAX_NODES }), (a, b) => {
      for (const family of FAMILIES) {
        assert.equal(Cidr.parse(podCidr(a, family))?.contains(podGateway(b, family)), a === b);
      }
    }),
  );
});

test('a node hands out each pod address once, and a released one only after all others', () => {
  const pool = new PodAddressPool(3);
  const first = pool.take(FAMILIES);
  assert.deepEqual(first.ips, ['10.244.3.2', 'fd00:10:244:3::2']);
  first.release();
  const rest = Array.from({ length: 253 }, () => pool.take([4]).ips[0]!);
  assert.equal(new Set(rest).size, 253);
  assert.equal(rest[0], '10.244.3.3');
  assert.equal(rest.at(-1), '10.244.3.2');
  assert.throws(() => pool.take([4]), { code: 'AMBIT_SANDBOX_FULL' });
});

test('service addresses are unique, respect those that manifests chose, and never meet the DNS address', () => {
  const pool = new ServiceAddressPool();
  pool.restart(['10.96.1.0', 'fd00:10:96::101']);
  const taken = Array.from({ length: 1000 }, () => pool.take(4));
  assert.equal(new Set(taken).size, 1000);
  assert.ok(!taken.includes('10.96.1.0' as IpAddress));
  assert.ok(!taken.includes(dnsAddress(4)));
  assert.ok(taken.every((ip) => Cidr.parse(SERVICE_CIDRS[4])?.contains(ip)));
  assert.equal(pool.claim(taken[0]!), false);
});

test('resolv.conf is what the kubelet would write for each DNS policy', () => {
  assert.equal(
    resolverFile('shop', [4, 6]),
    'nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
  );
  assert.match(resolverFile('shop', [6]), /^nameserver fd00:10:96::a\n/);
  const dnsConfig = {
    nameservers: ['192.0.2.1'],
    searches: ['corp.example'],
    options: [{ name: 'ndots', value: '2' }],
  };
  assert.equal(
    resolverFile('shop', [4], { dnsPolicy: 'None', dnsConfig }),
    'nameserver 192.0.2.1\nsearch corp.example\noptions ndots:2\n',
  );
  const both = resolverFile('shop', [4], { dnsConfig });
  assert.match(both, /nameserver 10.96.0.10\nnameserver 192.0.2.1\n/);
  assert.match(both, /cluster.local corp.example\noptions ndots:2\n$/);
});

test('hosts holds the name of the pod once for each of its addresses', () => {
  const hosts = hostsFile('web', ['10.244.1.2' as IpAddress, 'fd00::2' as IpAddress]);
  assert.match(hosts, /^127.0.0.1\tlocalhost$/m);
  assert.match(hosts, /^10.244.1.2\tweb$/m);
  assert.match(hosts, /^fd00::2\tweb$/m);
});
