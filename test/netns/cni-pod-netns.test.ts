/** Finding pods' network namespaces among real ones. */

import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseIp } from '../../src/base/ip.ts';
import { addressesIn } from '../../src/cni/namespace-facts.ts';
import { isStillThere, NetnsFolder, type PodNetns } from '../../src/cni/pod-netns.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { NETNS_FOLDER, PodNamespace, sh } from '../support/pod-namespace.ts';

/** Longer than what was seen in a namespace is taken for granted. */
const STALE_MS = 1_100;

interface Question {
  readonly path?: string;
  readonly notInode?: string;
}

function find(folder: NetnsFolder, ips: readonly string[], question: Question = {}): PodNetns {
  const { path, notInode } = question;
  const pod = { pod: 'shop/web', uids: ['uid-web'], containerIds: [] };
  return folder.find({ ...pod, ips: ips.map((ip) => parseIp(ip)!), path, notInode });
}

function inodeFound(folder: NetnsFolder, ips: readonly string[], question: Question = {}): string {
  const found = find(folder, ips, question);
  found.namespace.close();
  return found.namespace.inode;
}

class World {
  readonly node = new PodNamespace();
  readonly folder = new NetnsFolder(NETNS_FOLDER, this.node.namespace.inode);
  readonly #pods: PodNamespace[] = [];

  pod(...ips: string[]): PodNamespace {
    const pod = new PodNamespace();
    this.#pods.push(pod);
    for (const ip of ips) pod.connect(this.node, ip, ip.includes(':') ? 'fd00::fe' : '10.255.255.254');
    return pod;
  }

  close(): void {
    for (const pod of [...this.#pods, this.node]) pod.close();
  }
}

function inWorld(use: (world: World) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const world = new World();
    try {
      await use(world);
    } finally {
      world.close();
    }
  };
}

inOwnNamespaces(import.meta.filename, () => {
  test(
    'a pod is found by the address that its namespace really holds',
    inWorld((world) => {
      const [one, other] = [world.pod('10.0.0.1', 'fd00::1'), world.pod('10.0.0.2')];
      assert.deepEqual(
        addressesIn(one.namespace)
          .filter((ip) => !ip.startsWith('fe80'))
          .sort(),
        ['10.0.0.1', 'fd00::1'],
      );
      assert.equal(inodeFound(world.folder, ['10.0.0.1', 'fd00::1']), one.namespace.inode);
      assert.equal(inodeFound(world.folder, ['fd00::1']), one.namespace.inode);
      assert.equal(inodeFound(world.folder, ['10.0.0.2']), other.namespace.inode);
      assert.throws(() => find(world.folder, ['10.0.0.3']), { code: 'AMBIT_CNI_NETNS_NOT_FOUND' });
    }),
  );

  test(
    'the node’s own addresses are no pod’s',
    inWorld((world) => {
      world.pod('10.0.0.1');
      assert.throws(() => find(world.folder, ['10.255.255.254']), { code: 'AMBIT_CNI_NETNS_NOT_FOUND' });
      assert.throws(() => find(world.folder, [], { path: world.node.path }), {
        code: 'AMBIT_CNI_NETNS_NOT_FOUND',
      });
    }),
  );

  test(
    'the namespace with more of the pod’s addresses wins, equal ones are refused',
    inWorld((world) => {
      const [whole, part] = [world.pod('10.0.0.1', 'fd00::1'), world.pod('10.0.0.9')];
      part.run('ip addr add 10.0.0.1/32 dev eth0');
      assert.equal(inodeFound(world.folder, ['10.0.0.1', 'fd00::1']), whole.namespace.inode);
      assert.throws(() => find(world.folder, ['10.0.0.1']), { code: 'AMBIT_CNI_NETNS_AMBIGUOUS' });
      assert.equal(
        inodeFound(world.folder, ['10.0.0.1'], { notInode: part.namespace.inode }),
        whole.namespace.inode,
      );
    }),
  );

  test(
    'an address that moves is followed, and one that comes late is seen',
    inWorld(async (world) => {
      const [one, other] = [world.pod('10.0.0.1'), world.pod('10.0.0.2')];
      assert.equal(inodeFound(world.folder, ['10.0.0.1']), one.namespace.inode);
      one.run('ip addr del 10.0.0.1/32 dev eth0');
      other.run('ip addr add 10.0.0.1/32 dev eth0');
      await delay(STALE_MS);
      assert.equal(inodeFound(world.folder, ['10.0.0.1']), other.namespace.inode);
      one.run('ip addr add 10.0.0.7/32 dev eth0');
      await delay(STALE_MS);
      assert.equal(inodeFound(world.folder, ['10.0.0.7']), one.namespace.inode);
    }),
  );

  test(
    'a file that is no namespace is passed over, and refused as the plugin’s word',
    inWorld((world) => {
      const path = join(NETNS_FOLDER, 'stale');
      writeFileSync(path, '');
      const pod = world.pod('10.0.0.1');
      assert.equal(inodeFound(world.folder, ['10.0.0.1']), pod.namespace.inode);
      for (const wrong of [path, join(NETNS_FOLDER, 'missing'), '/run']) {
        assert.throws(() => find(world.folder, [], { path: wrong }), { code: 'AMBIT_CNI_NETNS_NOT_FOUND' });
      }
      assert.equal(inodeFound(world.folder, [], { path: pod.path }), pod.namespace.inode);
      rmSync(path);
    }),
  );

  test(
    'a namespace that was made anew under its path is noticed',
    inWorld((world) => {
      const pod = world.pod('10.0.0.1');
      const found = find(world.folder, ['10.0.0.1']);
      assert.equal(isStillThere(found), true);
      sh(`ip netns del ${pod.name}`);
      assert.equal(isStillThere(found), false);
      sh(`ip netns add ${pod.name}`);
      assert.equal(isStillThere(found), false);
      found.namespace.close();
    }),
  );

  test(
    'looking leaves no descriptor behind',
    inWorld((world) => {
      for (let i = 1; i <= 5; i++) world.pod(`10.0.0.${i}`);
      const before = readdirSync('/proc/self/fd').length;
      for (let i = 1; i <= 9; i++) {
        try {
          find(world.folder, [`10.0.0.${i}`]).namespace.close();
        } catch {
          // Not there: that is half of the cases.
        }
      }
      assert.equal(readdirSync('/proc/self/fd').length, before);
    }),
  );
});
