/** Service rules, and that the real iptables takes them. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../../src/base/ip.ts';
import { ENTRY_RULES, type ServicePort, serviceRules } from '../../../src/sandbox/network/service-rules.ts';

const SHOP: ServicePort = {
  name: 'shop/web:http',
  protocol: 'tcp',
  vips: ['10.96.1.0', 'fd00:10:96::100'] as IpAddress[],
  port: 80,
  endpoints: [
    { ip: '10.244.1.2' as IpAddress, port: 8080 },
    { ip: '10.244.2.2' as IpAddress, port: 8080 },
    { ip: 'fd00:10:244:1::2' as IpAddress, port: 8080 },
  ],
};

test('each endpoint of the family gets an equal share, and a masquerade for calls from itself', () => {
  const { text } = serviceRules(4, [SHOP], []);
  assert.equal(text.match(/--probability/g)?.length, 1);
  assert.match(text, /--probability 0\.5/);
  assert.match(text, /-s 10\.244\.1\.2 -j KUBE-MARK-MASQ/);
  assert.match(text, /-j DNAT --to-destination 10\.244\.2\.2:8080/);
  assert.doesNotMatch(text, /fd00/);
  assert.match(serviceRules(6, [SHOP], []).text, /-j DNAT --to-destination \[fd00:10:244:1::2\]:8080/);
});

test('a service without endpoints is refused, not left to time out', () => {
  const { text, chains } = serviceRules(4, [{ ...SHOP, endpoints: [] }], []);
  assert.match(text, /-A KUBE-SERVICES -d 10\.96\.1\.0 -p tcp --dport 80 .* -j REJECT/);
  assert.deepEqual(chains, []);
});

test('chains that nobody needs any more are removed, those still in use are not', () => {
  const before = serviceRules(4, [SHOP], []);
  const after = serviceRules(4, [{ ...SHOP, endpoints: SHOP.endpoints.slice(1) }], before.chains);
  const removed = before.chains.filter((chain) => after.text.includes(`-X ${chain}`));
  assert.deepEqual(removed.sort(), before.chains.filter((chain) => !after.chains.includes(chain)).sort());
  assert.equal(removed.length, 1);
});

const octet = fc.integer({ min: 1, max: 254 });
const endpoint = fc.record({
  ip: fc.tuple(octet, octet).map(([a, b]) => `10.244.${a}.${b}` as IpAddress),
  port: fc.integer({ min: 1, max: 65_535 }),
});
const servicePort = fc.record({
  name: fc.stringMatching(/^[a-z]{1,20}\/[a-z]{1,20}:[a-z]{1,10}$/),
  protocol: fc.constantFrom<('tcp' | 'udp')[]>('tcp', 'udp'),
  vips: octet.map((a) => [`10.96.2.${a}` as IpAddress]),
  port: fc.integer({ min: 1, max: 65_535 }),
  endpoints: fc.uniqueArray(endpoint, { maxLength: 8, selector: (one) => one.ip }),
});

test('iptables takes every rule set in place of every other', () => {
  const sets = fc.sample(fc.uniqueArray(servicePort, { maxLength: 12, selector: (one) => one.name }), 12);
  let chains: readonly string[] = [];
  const texts = [ENTRY_RULES];
  for (const ports of [...sets, []]) {
    const next = serviceRules(4, ports, chains);
    texts.push(next.text);
    chains = next.chains;
  }
  const script =
    'while IFS= read -r -d "" rules; do printf %s "$rules" | iptables-restore --noflush || exit 1; done; iptables-save -t nat';
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const result = spawnSync('unshare', [...user, '--net', 'bash', '-c', script], {
    input: texts.map((text) => `${text}\0`).join(''),
    encoding: 'utf8',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  assert.equal(result.status, 0, result.stderr);
  // With the last service its chains have gone.
  assert.doesNotMatch(result.stdout, /KUBE-(SVC|SEP)/);
  assert.match(result.stdout, /-A PREROUTING -j KUBE-SERVICES/);
});
