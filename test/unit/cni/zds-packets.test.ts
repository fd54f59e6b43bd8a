/** ZDS packets byte for byte, and what a peer may send instead. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { podFacts } from '../../../src/cni/pod-facts.ts';
import { podWorkload } from '../../../src/cni/pod-workload.ts';
import {
  addPacket,
  deletePacket,
  keepPacket,
  MAX_PACKET_BYTES,
  readAnswer,
  readHello,
  snapshotSentPacket,
  type ZdsWorkload,
} from '../../../src/cni/zds-packets.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from '../../../src/xds/zds-messages.ts';

const WORKLOAD: ZdsWorkload = {
  uid: 'u',
  name: 'n',
  namespace: 's',
  serviceAccount: 'a',
  searchDomains: [],
  netnsFd: 9,
};

function hex(message: Uint8Array): string {
  return Buffer.from(message).toString('hex');
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (thrown) {
    assert.ok(thrown instanceof AmbitError, String(thrown));
    return thrown.code;
  }
}

test('packets are on the wire as Istio’s are', () => {
  assert.deepEqual(addPacket(WORKLOAD, 9).fd, 9);
  // add(1) { uid(1) "u", workload_info(2) { name(1) "n", namespace(2) "s", service_account(3) "a" } }
  assert.equal(hex(addPacket(WORKLOAD, 9).message), '0a0e0a017512090a016e1201731a0161');
  assert.equal(hex(deletePacket('u').message), '1203120175');
  assert.equal(hex(snapshotSentPacket().message), '1a00');
  assert.equal(hex(keepPacket('u').message), '2a030a0175');
  assert.equal(keepPacket('u').fd, undefined);
});

test('search domains travel along while they fit, and are left out when they do not', () => {
  const domainsOf = (count: number) => {
    const searchDomains = Array.from({ length: count }, (_, i) => `domain-${i}.example.internal`);
    const { message } = addPacket({ ...WORKLOAD, searchDomains }, 9);
    assert.ok(message.length <= MAX_PACKET_BYTES);
    const { payload } = WorkloadRequest.decode(message);
    assert.ok(payload?.kind === 'add');
    assert.equal(payload.value.workloadInfo?.name, 'n');
    return payload.value.workloadInfo?.searchDomains.length;
  };
  assert.equal(domainsOf(20), 20);
  assert.equal(domainsOf(60), 0);
});

test('the longest names that Kubernetes allows fit', () => {
  const long = (length: number) => 'x'.repeat(length);
  const workload = {
    ...WORKLOAD,
    uid: long(36),
    name: long(253),
    namespace: long(63),
    serviceAccount: long(253),
  };
  assert.ok(addPacket(workload, 9).message.length <= MAX_PACKET_BYTES);
});

test('a pod that cannot be described in one packet is an error', () => {
  assert.equal(
    codeOf(() => addPacket({ ...WORKLOAD, name: 'x'.repeat(2000) }, 9)),
    'AMBIT_CNI_ZDS_PROTOCOL',
  );
});

test('a greeting of version 1 is accepted, any other refused', () => {
  readHello(ZdsHello.encode({ version: 1 }));
  assert.equal(
    codeOf(() => readHello(ZdsHello.encode({ version: 2 }))),
    'AMBIT_CNI_ZDS_PROTOCOL',
  );
  assert.equal(
    codeOf(() => readHello(new Uint8Array())),
    'AMBIT_CNI_ZDS_PROTOCOL',
  );
});

test('an answer is success, or ztunnel’s words', () => {
  const answer = (error: string) =>
    readAnswer(WorkloadResponse.encode({ payload: { kind: 'ack', value: { error } } }));
  assert.equal(answer(''), undefined);
  assert.equal(answer('no such netns'), 'no such netns');
  assert.equal(
    codeOf(() => readAnswer(new Uint8Array())),
    'AMBIT_CNI_ZDS_PROTOCOL',
  );
});

test('any bytes are read, or refused with one code', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const read of [readHello, readAnswer]) {
        assert.ok([undefined, 'AMBIT_CNI_ZDS_PROTOCOL'].includes(codeOf(() => read(bytes))));
      }
    }),
  );
});

test('a pod’s search domains are those that kubelet writes', () => {
  const searches = (dnsPolicy: string | undefined, own: string[] | undefined) => {
    const pod = podFacts({
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'shop', uid: 'u', generation: 1 },
      spec: {
        containers: [],
        ...(dnsPolicy && { dnsPolicy }),
        ...(own && { dnsConfig: { searches: own } }),
      },
    });
    return podWorkload(pod, 'cluster.local', 3).searchDomains;
  };
  const cluster = ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];
  assert.deepEqual(searches(undefined, undefined), cluster);
  assert.deepEqual(searches('ClusterFirst', ['corp.example']), [...cluster, 'corp.example']);
  assert.deepEqual(searches('None', ['corp.example']), ['corp.example']);
  assert.deepEqual(searches('Default', undefined), []);
});
