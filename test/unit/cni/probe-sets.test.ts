/** The text by which the probe sets are changed and read. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpAddress, parseIp } from '../../../src/base/ip.ts';
import { changeProbeSets, commentOf, createProbeSets, parseProbeSets } from '../../../src/cni/probe-sets.ts';

const V4 = parseIp('10.0.0.1')!;
const V6 = parseIp('fd00::1')!;

test('sets are hash:ip with comments, one per family', () => {
  assert.equal(
    createProbeSets([4, 6]),
    'create istio-inpod-probes-v4 hash:ip family inet comment\n' +
      'create istio-inpod-probes-v6 hash:ip family inet6 comment\n',
  );
});

test('a wanted address is added with its pod, any other is deleted', () => {
  const wanted = new Map<IpAddress, string>([[V4, 'uid-1']]);
  assert.equal(
    changeProbeSets([V4, V6], wanted),
    'add istio-inpod-probes-v4 10.0.0.1 comment "uid-1"\ndel istio-inpod-probes-v6 fd00::1\n',
  );
});

test('what ipset saves is read, and the sets of others are not', () => {
  const saved = [
    'create istio-inpod-probes-v4 hash:ip family inet hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x7b',
    'add istio-inpod-probes-v4 10.0.0.1 comment "uid-1"',
    'add istio-inpod-probes-v6 fd00:0::1 packets 3 bytes 4 comment "uid-2"',
    'add istio-inpod-probes-v4 10.0.0.2',
    'add KUBE-CLUSTER-IP 10.0.0.3 comment "x"',
    'add istio-inpod-probes-v4 not-an-address comment "uid-3"',
  ].join('\n');
  assert.deepEqual(
    parseProbeSets(saved),
    new Map([
      ['10.0.0.1', 'uid-1'],
      ['fd00::1', 'uid-2'],
      ['10.0.0.2', ''],
    ]),
  );
});

test('what is written is what is read, whatever a uid holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (uid) => {
      const entries = new Map([[V4, commentOf(uid)]]);
      const text = changeProbeSets([V4], entries);
      assert.equal(text.split('\n').length, 2);
      assert.deepEqual(parseProbeSets(text), entries);
    }),
  );
});

test('any text is read without an exception', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseProbeSets(text)));
});
