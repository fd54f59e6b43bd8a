/** The CNI plugin's JSON, as Istio's plugin writes it and as nobody should. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { readSandboxEnd, readSandboxRequest } from '../../../src/cni/plugin-messages.ts';

const REQUEST = {
  Netns: '/var/run/netns/cni-1',
  PodName: 'web',
  PodNamespace: 'shop',
  IPs: [{ Interface: 2, Address: { IP: '10.0.0.1', Mask: '////AA==' }, Gateway: '10.0.0.254' }],
};

function isRefused(body: string): boolean {
  try {
    readSandboxRequest(body);
    return false;
  } catch (thrown) {
    assert.ok(
      thrown instanceof AmbitError && thrown.code === 'AMBIT_CNI_PLUGIN_REQUEST_INVALID',
      String(thrown),
    );
    return true;
  }
}

test('a request of Istio’s plugin is read', () => {
  assert.deepEqual(readSandboxRequest(JSON.stringify(REQUEST)), {
    namespace: 'shop',
    name: 'web',
    netnsPath: '/var/run/netns/cni-1',
    ips: ['10.0.0.1'],
    uid: undefined,
  });
});

test('addresses may be networks in text, of either family, or missing', () => {
  const ips = (value: unknown) => readSandboxRequest(JSON.stringify({ ...REQUEST, IPs: value })).ips;
  assert.deepEqual(ips([{ Address: '10.0.0.1/24' }, { Address: 'fd00:0::1/64' }]), ['10.0.0.1', 'fd00::1']);
  assert.deepEqual([ips(null), ips(undefined), ips([])], [[], [], []]);
});

test('a uid tells pods of one name apart', () => {
  assert.equal(readSandboxRequest(JSON.stringify({ ...REQUEST, PodUID: 'u1' })).uid, 'u1');
});

test('what is missing or of the wrong kind is refused', () => {
  for (const change of [
    { Netns: undefined },
    { Netns: 'cni-1' },
    { Netns: '/a\0b' },
    { PodName: '' },
    { PodName: 'x'.repeat(254) },
    { PodNamespace: 1 },
    { IPs: 'none' },
    { IPs: [{ Address: 'x' }] },
    { IPs: [null] },
    { PodUID: 7 },
  ]) {
    assert.ok(isRefused(JSON.stringify({ ...REQUEST, ...change })), JSON.stringify(change));
  }
});

test('any text is read, or refused with one code', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (body) => void isRefused(body)));
});

test('the end of a sandbox is read, also when the runtime does not know the namespace any more', () => {
  assert.equal(readSandboxEnd('{"Netns":"/ns/1"}'), '/ns/1');
  assert.equal(readSandboxEnd('{"Netns":""}'), '');
  assert.equal(readSandboxEnd('{}'), '');
});
