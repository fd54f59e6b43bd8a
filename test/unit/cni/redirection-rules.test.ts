/** The capture rules, word for word. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cidr } from '../../../src/base/ip.ts';
import {
  leavingRules,
  type RedirectionOptions,
  redirectionRules,
} from '../../../src/cni/redirection-rules.ts';
import { EMPTY_RULE_SET } from '../../../src/cni/rule-set.ts';
import { ruleTransition } from '../../../src/cni/rule-transition.ts';

const DEFAULTS: RedirectionOptions = {
  dnsCapture: true,
  inboundCapture: true,
  virtualInterfaces: [],
  excludedOutboundPorts: [],
  excludedInboundPorts: [],
  excludedOutboundRanges: [],
};
const OWNED = ['ISTIO_PRERT', 'ISTIO_OUTPUT'];

function fresh(options: Partial<RedirectionOptions>, family: 4 | 6): string[] {
  return ruleTransition(new Map(), redirectionRules({ ...DEFAULTS, ...options }, family), OWNED)
    .trimEnd()
    .split('\n');
}

test('an ordinary pod gets the full set for IPv4, redirection last', () => {
  assert.deepEqual(fresh({}, 4), [
    '*raw',
    ':ISTIO_PRERT - [0:0]',
    ':ISTIO_OUTPUT - [0:0]',
    '-A PREROUTING -j ISTIO_PRERT',
    '-A OUTPUT -j ISTIO_OUTPUT',
    '-A ISTIO_PRERT -p udp -m udp --sport 53 -m mark ! --mark 0x539/0xfff -j CT --zone 1',
    '-A ISTIO_OUTPUT -p udp -m mark --mark 0x539/0xfff -m udp --dport 53 -j CT --zone 1',
    'COMMIT',
    '*mangle',
    ':ISTIO_PRERT - [0:0]',
    ':ISTIO_OUTPUT - [0:0]',
    '-A PREROUTING -j ISTIO_PRERT',
    '-A OUTPUT -j ISTIO_OUTPUT',
    '-A ISTIO_PRERT -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff',
    '-A ISTIO_OUTPUT -m connmark --mark 0x111/0xfff -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff',
    'COMMIT',
    '*nat',
    ':ISTIO_PRERT - [0:0]',
    ':ISTIO_OUTPUT - [0:0]',
    '-A PREROUTING -j ISTIO_PRERT',
    '-A OUTPUT -j ISTIO_OUTPUT',
    '-A ISTIO_PRERT -s 169.254.7.127 -p tcp -j ACCEPT',
    '-A ISTIO_PRERT ! -d 127.0.0.1/32 -p tcp -m tcp ! --dport 15008 --tcp-flags FIN,SYN,RST,ACK SYN -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15006',
    '-A ISTIO_OUTPUT -d 169.254.7.127 -p tcp -j ACCEPT',
    '-A ISTIO_OUTPUT ! -o lo -p udp -m udp --dport 53 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15053',
    '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -p tcp -m tcp --dport 53 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15053',
    '-A ISTIO_OUTPUT -p tcp -m mark --mark 0x111/0xfff -j ACCEPT',
    '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT',
    '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001',
    'COMMIT',
  ]);
});

test('IPv6 mirrors IPv4 with its own loopback and probe address', () => {
  const translated = fresh({}, 4).map((line) =>
    line
      .replaceAll('127.0.0.1/32', '::1/128')
      .replaceAll('169.254.7.127', 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff'),
  );
  assert.deepEqual(fresh({}, 6), translated);
});

test('ingress mode drops the two inbound rules and keeps the connection mark', () => {
  const lines = fresh({ inboundCapture: false }, 4);
  assert.ok(!lines.some((line) => line.includes('15006') || line.includes('-s 169.254.7.127')));
  assert.ok(lines.includes('-A ISTIO_PRERT -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff'));
  assert.ok(lines.includes('-A ISTIO_OUTPUT -d 169.254.7.127 -p tcp -j ACCEPT'));
});

test('without DNS capture nothing is said of port 53 and the raw table is left alone', () => {
  const lines = fresh({ dnsCapture: false }, 4);
  assert.ok(!lines.some((line) => line.includes('53 ') || line === '*raw'));
});

test('virtual interfaces come first and count as outbound', () => {
  const lines = fresh({ virtualInterfaces: ['br0', 'vnet1'] }, 4);
  const start = lines.indexOf(
    '-A ISTIO_PRERT -i br0 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15001',
  );
  assert.deepEqual(lines.slice(start, start + 5), [
    '-A ISTIO_PRERT -i br0 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15001',
    '-A ISTIO_PRERT -i br0 -p tcp -j RETURN',
    '-A ISTIO_PRERT -i vnet1 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REDIRECT --to-ports 15001',
    '-A ISTIO_PRERT -i vnet1 -p tcp -j RETURN',
    '-A ISTIO_PRERT -s 169.254.7.127 -p tcp -j ACCEPT',
  ]);
});

test('exclusions return before anything is redirected, each in its own family', () => {
  const options = {
    excludedOutboundPorts: [9000],
    excludedInboundPorts: [9100],
    excludedOutboundRanges: [Cidr.parse('10.9.0.0/16')!, Cidr.parse('fd09::/32')!],
  };
  const v4 = fresh(options, 4);
  const v6 = fresh(options, 6);
  const before = (lines: string[], rule: string, redirect: string) =>
    lines.indexOf(rule) > 0 && lines.indexOf(rule) < lines.findIndex((line) => line.endsWith(redirect));
  assert.ok(before(v4, '-A ISTIO_OUTPUT -d 10.9.0.0/16 -j RETURN', '15053'));
  assert.ok(before(v4, '-A ISTIO_OUTPUT -p tcp -m tcp --dport 9000 -j RETURN', '15053'));
  assert.ok(before(v4, '-A ISTIO_PRERT -p tcp -m tcp --dport 9100 -j RETURN', '15006'));
  assert.ok(before(v4, '-A ISTIO_PRERT -s 10.9.0.0/16 -p udp -m udp --sport 53 -j RETURN', '--zone 1'));
  assert.ok(before(v6, '-A ISTIO_OUTPUT -d fd09::/32 -j RETURN', '15053'));
  assert.ok(!v6.some((line) => line.includes('10.9.0.0')) && !v4.some((line) => line.includes('fd09')));
});

test('a pod that leaves keeps all but the redirections, whatever its options were', () => {
  for (const family of [4, 6] as const) {
    const leaving = ruleTransition(new Map(), leavingRules(family), OWNED).trimEnd().split('\n');
    assert.deepEqual(
      leaving,
      fresh({}, family).filter((line) => !line.includes('REDIRECT')),
    );
  }
});

test('removal of nothing from nothing is nothing', () => {
  assert.equal(ruleTransition(new Map(), EMPTY_RULE_SET, OWNED), '');
});
