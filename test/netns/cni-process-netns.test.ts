/** Finding pods' network namespaces by their processes: real namespaces, under a /proc made for the purpose. */

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import { NetnsFinders, NetnsFolder, type NetnsQuery } from '../../src/cni/pod-netns.ts';
import { ProcessNetns } from '../../src/cni/process-netns.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { NETNS_FOLDER, PodNamespace } from '../support/pod-namespace.ts';

const UID = '0d5ca55c-6a3f-4d0e-9a3b-2f1f5f0a7c11';
const ID = 'ab'.repeat(32);

class Node {
  readonly host = new PodNamespace();
  readonly proc = '/run/test/proc';
  readonly #pods: PodNamespace[] = [];

  pod(ip: string): PodNamespace {
    const pod = new PodNamespace();
    this.#pods.push(pod);
    pod.connect(this.host, ip, '10.255.255.254');
    return pod;
  }

  /** Two namespaces that both hold the address. */
  twins(ip: string): [PodNamespace, PodNamespace] {
    const [one, other] = [this.pod(ip), this.pod('10.0.0.99')];
    other.run(`ip addr add ${ip}/32 dev eth0`);
    return [one, other];
  }

  process(pid: number, namespace: PodNamespace, cgroup: string, startedAt = pid): void {
    const folder = join(this.proc, String(pid));
    mkdirSync(join(folder, 'ns'), { recursive: true });
    symlinkSync(namespace.path, join(folder, 'ns/net'));
    writeFileSync(join(folder, 'cgroup'), `0::${cgroup}\n`);
    const zeros = Array(18).fill('0').join(' ');
    writeFileSync(join(folder, 'stat'), `${pid} (a ) name) S ${zeros} ${startedAt} 0\n`);
  }

  find(query: Partial<NetnsQuery> = {}): string {
    const found = new ProcessNetns(this.proc, this.host.namespace.inode).find(queryOf(query));
    found.namespace.close();
    return found.namespace.inode;
  }

  close(): void {
    for (const pod of [...this.#pods, this.host]) pod.close();
    rmSync(this.proc, { recursive: true, force: true });
  }
}

function queryOf(query: Partial<NetnsQuery>): NetnsQuery {
  const known = { pod: 'shop/web', uids: [UID], containerIds: [ID], ips: [parseIp('10.0.0.1')!] };
  return { ...known, path: undefined, notInode: undefined, ...query };
}

function onNode(use: (node: Node) => void): () => void {
  return () => {
    const node = new Node();
    try {
      use(node);
    } finally {
      node.close();
    }
  };
}

const NOT_FOUND = { code: 'AMBIT_CNI_NETNS_NOT_FOUND' };

inOwnNamespaces(import.meta.filename, () => {
  test(
    'a pod is found by its uid in the cgroup of its processes, and by the id of a container',
    onNode((node) => {
      const [one, other] = [node.pod('10.0.0.1'), node.pod('10.0.0.2')];
      node.process(1, node.host, '/init.scope');
      node.process(10, other, `/kubepods/pod${UID.replace('0d5c', 'ffff')}/${ID}`);
      node.process(11, one, `/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/crio-${ID}.scope`);
      assert.equal(node.find(), one.namespace.inode);
      assert.throws(() => node.find({ uids: ['another'] }), NOT_FOUND);
      node.process(12, other, `/machine.slice/crio-${'cd'.repeat(32)}.scope`);
      const byContainer = { uids: [], containerIds: ['cd'.repeat(32)], ips: [parseIp('10.0.0.2')!] };
      assert.equal(node.find(byContainer), other.namespace.inode);
    }),
  );

  test(
    'a namespace must hold an address of the pod, must not be the node’s, and must not be on its way out',
    onNode((node) => {
      const pod = node.pod('10.0.0.1');
      node.process(10, node.host, `/kubepods/pod${UID}/${ID}`);
      node.process(11, pod, `/kubepods/pod${UID}/${ID}`);
      assert.throws(() => node.find({ ips: [parseIp('10.0.0.9')!] }), NOT_FOUND);
      assert.throws(() => node.find({ ips: [] }), NOT_FOUND);
      assert.throws(() => node.find({ notInode: pod.namespace.inode }), NOT_FOUND);
      assert.equal(node.find(), pod.namespace.inode);
    }),
  );

  test(
    'of several namespaces that hold the address, that of the oldest process is the pod’s',
    onNode((node) => {
      const [own, made] = node.twins('10.0.0.1');
      node.process(10, made, `/kubepods/pod${UID}/${ID}`, 700);
      node.process(20, own, `/kubepods/pod${UID}/${ID}`, 300);
      node.process(30, made, `/kubepods/pod${UID}/${ID}`, 900);
      assert.equal(node.find(), own.namespace.inode);
    }),
  );

  test(
    'processes are asked when the folder of namespaces does not have the pod or has it twice',
    onNode((node) => {
      const [own, made] = node.twins('10.0.0.1');
      node.process(20, own, `/kubepods/pod${UID}/${ID}`);
      const host = node.host.namespace.inode;
      for (const folder of [NETNS_FOLDER, '/run/test/nothing']) {
        const finders = new NetnsFinders(new NetnsFolder(folder, host), new ProcessNetns(node.proc, host));
        const found = finders.find(queryOf({}));
        found.namespace.close();
        assert.equal(found.namespace.inode, own.namespace.inode);
      }
      assert.notEqual(own.namespace.inode, made.namespace.inode);
    }),
  );

  test(
    'a path that the plugin names is found below /proc, and through the root of the node’s first process',
    onNode((node) => {
      const pod = node.pod('10.0.0.1');
      node.process(1, node.host, '/init.scope');
      node.process(20, pod, `/kubepods/pod${UID}/${ID}`);
      symlinkSync('/run/test', join(node.proc, '1/root'));
      symlinkSync(pod.path, '/run/test/elsewhere');
      const folder = new NetnsFolder(NETNS_FOLDER, node.host.namespace.inode, node.proc);
      for (const path of [pod.path, '/proc/20/ns/net', '/elsewhere']) {
        const found = folder.find(queryOf({ path }));
        found.namespace.close();
        assert.deepEqual([found.namespace.inode, found.path], [pod.namespace.inode, path]);
      }
      for (const path of ['/proc/1/ns/net', '/nowhere']) {
        assert.throws(() => folder.find(queryOf({ path })), NOT_FOUND, path);
      }
      rmSync('/run/test/elsewhere');
    }),
  );
});
