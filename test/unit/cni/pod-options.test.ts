/** What a pod may ask of its redirection, and what becomes of entries that are wrong. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { optionsKey, podOptions } from '../../../src/cni/pod-options.ts';
import { redirectionRules } from '../../../src/cni/redirection-rules.ts';

test('a pod without annotations takes the defaults of the cluster', () => {
  for (const dnsCapture of [true, false]) {
    assert.deepEqual(podOptions({}, dnsCapture), {
      options: {
        dnsCapture,
        inboundCapture: true,
        virtualInterfaces: [],
        excludedOutboundPorts: [],
        excludedInboundPorts: [],
        excludedOutboundRanges: [],
      },
      warnings: [],
    });
  }
});

test('a pod overrides DNS capture either way', () => {
  assert.equal(podOptions({ 'ambient.istio.io/dns-capture': 'true' }, false).options.dnsCapture, true);
  assert.equal(podOptions({ 'ambient.istio.io/dns-capture': 'false' }, true).options.dnsCapture, false);
});

test('an ingress gateway is captured outbound only', () => {
  const { options } = podOptions({ 'ambient.istio.io/bypass-inbound-capture': 'true' }, true);
  assert.equal(options.inboundCapture, false);
});

test('exclusions are read under the names that users know from sidecars', () => {
  const { options, warnings } = podOptions(
    {
      'traffic.sidecar.istio.io/excludeOutboundPorts': '9000, 443,9000',
      'traffic.sidecar.istio.io/excludeInboundPorts': '9100',
      'traffic.sidecar.istio.io/excludeOutboundIPRanges': '10.1.2.3/8,fd00::1',
      'istio.io/reroute-virtual-interfaces': 'br0,vnet+',
    },
    true,
  );
  assert.deepEqual(options.excludedOutboundPorts, [9000, 443]);
  assert.deepEqual(options.excludedInboundPorts, [9100]);
  assert.deepEqual(options.excludedOutboundRanges.map(String), ['10.0.0.0/8', 'fd00::1/128']);
  assert.deepEqual(options.virtualInterfaces, ['br0', 'vnet+']);
  assert.deepEqual(warnings, []);
});

test('a wrong entry is left out and named, the others stay', () => {
  const { options, warnings } = podOptions(
    {
      'ambient.istio.io/dns-capture': 'yes',
      'traffic.sidecar.istio.io/excludeOutboundPorts': '80,http,0,65536,-1',
      'traffic.sidecar.istio.io/excludeInboundPorts': '15006,8080',
      'traffic.sidecar.istio.io/excludeOutboundIPRanges': '10.0.0.0/33,*,10.0.0.0/24',
      'istio.io/reroute-virtual-interfaces': '-j,a b,name-of-16-chars,br0',
    },
    true,
  );
  assert.equal(options.dnsCapture, true);
  assert.deepEqual(options.excludedOutboundPorts, [80]);
  assert.deepEqual(options.excludedInboundPorts, [8080]);
  assert.deepEqual(options.excludedOutboundRanges.map(String), ['10.0.0.0/24']);
  assert.deepEqual(options.virtualInterfaces, ['br0']);
  assert.equal(warnings.length, 11);
  assert.ok(
    warnings.includes('annotation traffic.sidecar.istio.io/excludeOutboundPorts: "http" is not valid here'),
  );
});

test('excluding outbound port 53 leaves DNS alone altogether', () => {
  const { options } = podOptions({ 'traffic.sidecar.istio.io/excludeOutboundPorts': '53' }, true);
  assert.equal(options.dnsCapture, false);
  assert.deepEqual(options.excludedOutboundPorts, [53]);
});

test('lists are bounded, and so are warnings', () => {
  const ports = Array.from({ length: 200 }, (_, i) => i + 1).join(',');
  const wrong = Array.from({ length: 200 }, (_, i) => `x${i}`).join(',');
  const { options, warnings } = podOptions(
    {
      'traffic.sidecar.istio.io/excludeInboundPorts': ports,
      'istio.io/reroute-virtual-interfaces': wrong.replaceAll('x', '-'),
    },
    true,
  );
  assert.equal(options.excludedInboundPorts.length, 64);
  assert.equal(warnings.length, 16);
});

test('no annotation can put a second word or line into a rule', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      const { options } = podOptions(
        {
          'traffic.sidecar.istio.io/excludeOutboundPorts': a,
          'traffic.sidecar.istio.io/excludeOutboundIPRanges': b,
          'istio.io/reroute-virtual-interfaces': `${a},${b}`,
        },
        true,
      );
      for (const chain of redirectionRules(options, 4).nat) {
        // The one comma that is ours: the TCP flags of a connection's first packet.
        const foreign = chain.rules.map((rule) => rule.replace('FIN,SYN,RST,ACK SYN', ''));
        for (const rule of foreign) assert.match(rule, /^[A-Za-z0-9 _.:/!+-]+$/);
      }
    }),
  );
});

test('options with equal keys are equal options', () => {
  const ranges = (text: string) =>
    optionsKey(podOptions({ 'traffic.sidecar.istio.io/excludeOutboundIPRanges': text }, true).options);
  assert.equal(ranges('10.0.0.1/8'), ranges('10.0.0.0/8'));
  assert.notEqual(ranges('10.0.0.0/8'), ranges('10.0.0.0/9'));
});
