/** Names of cgroups, in the forms that drivers and runtimes give them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePodCgroup } from '../../../src/cni/pod-cgroup.ts';

const UID = '0d5ca55c-6a3f-4d0e-9a3b-2f1f5f0a7c11';
const SYSTEMD_UID = UID.replaceAll('-', '_');
const STATIC_UID = '0d5ca55c6a3f4d0e9a3b2f1f5f0a7c11';
const ID = 'ab'.repeat(32);

const FORMS: readonly (readonly [string, string, string | undefined])[] = [
  ['cgroupfs', `/kubepods/burstable/pod${UID}/${ID}`, UID],
  ['cgroupfs, guaranteed', `/kubepods/pod${UID}/${ID}`, UID],
  [
    'systemd, containerd',
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SYSTEMD_UID}.slice/cri-containerd-${ID}.scope`,
    UID,
  ],
  [
    'systemd, CRI-O',
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${SYSTEMD_UID}.slice/crio-${ID}.scope`,
    UID,
  ],
  [
    'systemd, containerd without delegation',
    `/system.slice/containerd.service/kubepods-burstable-pod${SYSTEMD_UID}.slice:cri-containerd:${ID}`,
    UID,
  ],
  [
    'kind',
    `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${SYSTEMD_UID}.slice/cri-containerd-${ID}.scope`,
    UID,
  ],
  [
    'from within another cgroup namespace',
    `/../../kubepods-pod${SYSTEMD_UID}.slice/cri-containerd-${ID}.scope`,
    UID,
  ],
  ['a static pod', `/kubepods/pod${STATIC_UID}/${ID}`, STATIC_UID],
  ['CRI-O without the pod', `/machine.slice/crio-${ID}.scope`, undefined],
  ['Docker', `/kubepods.slice/kubepods-pod${SYSTEMD_UID}.slice/docker-${ID}.scope`, UID],
  [
    'CRI-O with a cgroup below the container’s',
    `/kubepods.slice/kubepods-pod${SYSTEMD_UID}.slice/crio-${ID}.scope/container`,
    UID,
  ],
];

test('pod and container are read with either version of cgroups, either driver and every runtime', () => {
  for (const [name, path, podUid] of FORMS) {
    const v1 = `12:pids:${path}\n11:cpu,cpuacct:${path}\n1:name=systemd:${path}\n`;
    for (const text of [`0::${path}\n`, v1]) {
      assert.deepEqual(parsePodCgroup(text), { podUid, containerId: ID }, name);
    }
  }
});

test('a hierarchy that says nothing does not hide one that does', () => {
  const text = `4:misc:/\n3:cpu:/kubepods/pod${UID}/${ID}\n0::/\n`;
  assert.deepEqual(parsePodCgroup(text), { podUid: UID, containerId: ID });
});

test('of a pod within a pod the inner one counts', () => {
  const inner = UID.replace('0d5c', 'ffff');
  assert.equal(parsePodCgroup(`0::/kubepods/pod${UID}/${ID}/kubepods/pod${inner}/${ID}\n`).podUid, inner);
});

test('what is in no pod’s cgroup is nobody’s', () => {
  for (const path of [
    '/',
    '/system.slice/kubelet.service',
    '/user.slice/podman.scope',
    `/pod${UID.slice(1)}`,
  ]) {
    assert.deepEqual(parsePodCgroup(`0::${path}\n`), { podUid: undefined, containerId: undefined }, path);
  }
});

test('any uid comes back from any form', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.constantFrom('-', '_', ''), fc.string(), (uid, hyphen, before) => {
      const prefix = before.replaceAll(/[\n/]|pod/g, '');
      const written = uid.replaceAll('-', hyphen);
      const expected = hyphen === '' ? written : uid;
      assert.equal(parsePodCgroup(`0::/${prefix}/kubepods-pod${written}.slice/x.scope\n`).podUid, expected);
    }),
  );
});

test('no text makes it throw', () => {
  fc.assert(fc.property(fc.string(), (text) => void parsePodCgroup(text)));
});
