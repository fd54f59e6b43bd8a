/** The test of the kernel, on a real one and with programs that fail. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseIptables } from '../../src/cni/iptables-tools.ts';
import { testKernel } from '../../src/cni/kernel-test.ts';
import { NetworkNamespace } from '../../src/sys/network-namespace.ts';
import { descriptorCount } from '../support/descriptor-count.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

inOwnNamespaces(import.meta.filename, () => {
  test('a namespace that is made is another one, and empty', () => {
    const here = NetworkNamespace.current();
    const made = NetworkNamespace.create();
    assert.notEqual(made.inode, here.inode);
    assert.equal(NetworkNamespace.current().inode, here.inode);
    made.close();
    here.close();
  });

  test('a kernel that has all that redirection needs is fine, and nothing is left', async () => {
    const iptables = await chooseIptables(undefined);
    assert.deepEqual(await testKernel(iptables), { ok: true });
    const before = descriptorCount();
    assert.deepEqual(await testKernel(iptables), { ok: true });
    assert.equal(descriptorCount(), before);
  });

  test('a program that refuses the rules is told in its words', async () => {
    const { preferred } = await chooseIptables(undefined);
    const v4 = { ...preferred.v4, restore: '/bin/false' };
    const { ok, detail = '' } = await testKernel({ preferred: { ...preferred, v4 }, other: undefined });
    assert.equal(ok, false);
    assert.match(detail, /false/);
  });
});
