import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { ip, workload } from './builders.ts';

const A = ip('10.0.0.1');
const B = ip('10.0.0.2');

const pod = workload({ name: 'pod', addresses: [A], tunnelProtocol: 'NONE' });
const hbonePod = workload({ name: 'hbone-pod', addresses: [A] });
const entry = workload({
  name: 'entry',
  uid: 'Kubernetes/networking.istio.io/WorkloadEntry/shop/entry',
  addresses: [A],
});

function uidAt(state: MeshState, address = A, network = ''): string | undefined {
  return state.workloadByAddress(network, address)?.uid;
}

test('of two workloads with one address a pod wins, whichever came first', () => {
  for (const order of [
    [entry, pod],
    [pod, entry],
  ]) {
    const state = new MeshState();
    for (const one of order) state.upsertWorkload(one);
    assert.equal(uidAt(state), pod.uid);
  }
});

test('of two pods with one address the one that takes HBONE wins, whichever came first', () => {
  for (const order of [
    [hbonePod, pod],
    [pod, hbonePod],
  ]) {
    const state = new MeshState();
    for (const one of order) state.upsertWorkload(one);
    assert.equal(uidAt(state), hbonePod.uid);
  }
});

test('removing the workload that had an address gives it back to the other claimant', () => {
  const state = new MeshState();
  for (const one of [entry, pod, hbonePod]) state.upsertWorkload(one);
  state.removeAddress(hbonePod.uid);
  assert.equal(uidAt(state), pod.uid);
  state.removeAddress(pod.uid);
  assert.equal(uidAt(state), entry.uid);
  state.removeAddress(entry.uid);
  assert.equal(uidAt(state), undefined);
});

test('among equal claimants the newest has the address', () => {
  const state = new MeshState();
  state.upsertWorkload(workload({ name: 'finished-job', addresses: [A] }));
  state.upsertWorkload(workload({ name: 'its-successor', addresses: [A] }));
  assert.equal(state.workloadByAddress('', A)?.name, 'its-successor');
});

test('a workload that moves to another address is no longer found at the old one', () => {
  const state = new MeshState();
  state.upsertWorkload(hbonePod);
  state.upsertWorkload({ ...hbonePod, addresses: [B] });
  assert.equal(uidAt(state, A), undefined);
  assert.equal(uidAt(state, B), hbonePod.uid);
});

test('the same address on two networks belongs to two workloads', () => {
  const state = new MeshState();
  state.upsertWorkload(hbonePod);
  state.upsertWorkload({ ...pod, network: 'west' });
  assert.equal(uidAt(state), hbonePod.uid);
  assert.equal(uidAt(state, A, 'west'), pod.uid);
});

test('a workload that moves to another network is no longer found on the old one', () => {
  const state = new MeshState();
  state.upsertWorkload(hbonePod);
  state.upsertWorkload({ ...hbonePod, network: 'west' });
  assert.equal(uidAt(state), undefined);
  assert.equal(uidAt(state, A, 'west'), hbonePod.uid);
});

test('a HOST_NETWORK workload is known by uid but not by the address of its node', () => {
  const state = new MeshState();
  state.upsertWorkload({ ...pod, networkMode: 'HOST_NETWORK' });
  assert.equal(uidAt(state), undefined);
  assert.equal(state.workloadByUid(pod.uid)?.name, 'pod');
});

test('a workload without address is found by namespace and host name', () => {
  const state = new MeshState();
  state.upsertWorkload(workload({ name: 'db', hostname: 'db.example' }));
  assert.equal(state.workloadByHostname('shop', 'db.example')?.name, 'db');
  assert.equal(state.workloadByHostname('bank', 'db.example'), undefined);
  state.upsertWorkload(workload({ name: 'db', hostname: 'db2.example' }));
  assert.equal(state.workloadByHostname('shop', 'db.example'), undefined);
  assert.equal(state.workloadByHostname('shop', 'db2.example')?.name, 'db');
});

test('removing what is not known is no error', () => {
  const state = new MeshState();
  state.removeAddress('nobody');
  state.removeAuthorization('shop/nothing');
  assert.equal(state.workloadCount, 0);
});
