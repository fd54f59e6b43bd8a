/** Probe exemption on a real node namespace: who gets past capture, and what is left behind. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { type IpAddress, parseIp } from '../../src/base/ip.ts';
import { chooseIptables, IPTABLES_FLAVOURS, type IptablesFlavour } from '../../src/cni/iptables-tools.ts';
import { podOptions } from '../../src/cni/pod-options.ts';
import { ProbeExemption } from '../../src/cni/probe-exemption.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';

const OPTIONS = podOptions({}, true).options;

interface World {
  readonly node: PodNamespace;
  readonly exemption: ProbeExemption;
}

async function withNode(flavour: IptablesFlavour, use: (world: World) => Promise<void>): Promise<void> {
  const node = new PodNamespace();
  const iptables = await chooseIptables(flavour);
  try {
    await use({ node, exemption: new ProbeExemption({ iptables, host: node.namespace }) });
  } finally {
    node.close();
  }
}

/** Tells every client which address it comes from. */
function serve(pod: PodNamespace, port: number): Server {
  const server = createServer((socket) => socket.end(socket.remoteAddress ?? ''));
  return pod.namespace.run(() => server.listen(port));
}

function members(node: PodNamespace): string[] {
  return node
    .run("sh -c 'ipset save istio-inpod-probes-v4; ipset save istio-inpod-probes-v6'")
    .split('\n')
    .filter((line) => line.startsWith('add'))
    .map((line) => line.replace('add istio-inpod-probes-', ''))
    .sort();
}

/** In a user namespace of an ordinary user there is nobody else. */
function isUser(id: number): boolean {
  const ranges = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return ranges.some((range) => {
    const [first, , count] = range.trim().split(/ +/).map(Number) as [number, number, number];
    return id >= first && id < first + count;
  });
}

function ips(...texts: string[]): IpAddress[] {
  return texts.map((text) => parseIp(text)!);
}

inOwnNamespaces(import.meta.filename, () => {
  for (const flavour of IPTABLES_FLAVOURS) {
    test(`${flavour}: a node-local process reaches an enrolled pod under the probe address, others are captured`, () =>
      withNode(flavour, async ({ node, exemption }) => {
        const [pod, remote] = [new PodNamespace(), new PodNamespace()];
        pod.connect(node, '10.0.0.1', '10.0.0.254');
        pod.connect(node, 'fd00::1', 'fd00::fe');
        remote.connect(node, '10.0.0.2', '10.0.1.254');
        remote.connect(node, 'fd00::2', 'fd00:1::fe');
        node.run(
          "sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'",
        );
        const app = serve(pod, 8080);
        await new Redirection(await chooseIptables(flavour)).ensure(pod.namespace, OPTIONS, true);
        await exemption.start();
        await assert.rejects(node.read('10.0.0.1', 8080), /refused/);
        await exemption.add('uid-1', ips('10.0.0.1', 'fd00::1'));
        assert.equal(await node.read('10.0.0.1', 8080), '::ffff:169.254.7.127');
        assert.equal(await node.read('fd00::1', 8080), 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff');
        await assert.rejects(remote.read('10.0.0.1', 8080), /refused/);
        await assert.rejects(remote.read('fd00::1', 8080), /refused/);
        await exemption.remove('uid-1', ips('10.0.0.1', 'fd00::1'));
        await assert.rejects(node.read('10.0.0.1', 8080), /refused/);
        await assert.rejects(node.read('fd00::1', 8080), /refused/);
        app.close();
        pod.close();
        remote.close();
      }));

    test(`${flavour}: where kubelet’s user is known, only that user’s processes are exempt`, () =>
      withNode(flavour, async ({ node }) => {
        const pod = new PodNamespace();
        pod.connect(node, '10.0.0.1', '10.0.0.254');
        const app = serve(pod, 8080);
        await new Redirection(await chooseIptables(flavour)).ensure(pod.namespace, OPTIONS, true);
        const own = process.getuid!();
        for (const user of [...(isUser(own + 1) ? [own + 1] : []), own]) {
          const iptables = await chooseIptables(flavour);
          const exemption = new ProbeExemption({ iptables, host: node.namespace, kubeletUser: user });
          await exemption.start();
          await exemption.add('uid-1', ips('10.0.0.1'));
          const { rules } = await exemption.reconcile(true);
          assert.deepEqual(rules, []);
          if (user === own) assert.equal(await node.read('10.0.0.1', 8080), '::ffff:169.254.7.127');
          else await assert.rejects(node.read('10.0.0.1', 8080), /refused/);
        }
        app.close();
        pod.close();
      }));

    test(`${flavour}: rules and sets are made once, survive a restart, and leave no trace when uninstalled`, () =>
      withNode(flavour, async ({ node, exemption }) => {
        const before = node.fingerprint();
        await exemption.start();
        await exemption.add('uid-1', ips('10.0.0.1'));
        const installed = node.fingerprint();
        const next = new ProbeExemption({ iptables: await chooseIptables(flavour), host: node.namespace });
        await next.start();
        assert.equal(node.fingerprint(), installed);
        assert.deepEqual(members(node), ['v4 10.0.0.1 comment "uid-1"']);
        await next.uninstall();
        assert.equal(node.fingerprint(), before);
        assert.equal(node.run('ipset list -name'), '');
        await next.uninstall();
      }));

    test(`${flavour}: our jump goes back to the front when another plugin puts its own there`, () =>
      withNode(flavour, async ({ node, exemption }) => {
        await exemption.start();
        node.run(`iptables-${flavour} -t nat -I POSTROUTING -d 10.0.0.0/8 -j MASQUERADE`);
        const { rules } = await exemption.reconcile(true);
        assert.deepEqual(
          rules.map((finding) => finding.kind),
          ['misplaced-jump'],
        );
        const first = node.run(`iptables-${flavour} -t nat -S POSTROUTING`).split('\n')[1];
        assert.equal(first, '-A POSTROUTING -j ISTIO_POSTRT');
        assert.deepEqual((await exemption.reconcile(true)).rules, []);
      }));
  }

  test('an address that was given to another pod meanwhile is not taken from it', () =>
    withNode('nft', async ({ node, exemption }) => {
      await exemption.start();
      await exemption.add('uid-1', ips('10.0.0.1'));
      await exemption.add('uid-2', ips('10.0.0.1'));
      await exemption.remove('uid-1', ips('10.0.0.1'));
      assert.deepEqual(members(node), ['v4 10.0.0.1 comment "uid-2"']);
      await exemption.remove('uid-2', ips('10.0.0.1'));
      assert.deepEqual(members(node), []);
    }));

  test('an entry that an earlier agent left is removed by the pod it belongs to', () =>
    withNode('nft', async ({ node, exemption }) => {
      await exemption.start();
      await exemption.add('uid-1', ips('10.0.0.1'));
      const next = new ProbeExemption({ iptables: await chooseIptables('nft'), host: node.namespace });
      await next.start();
      await next.remove('uid-0', ips('10.0.0.1'));
      assert.deepEqual(members(node), ['v4 10.0.0.1 comment "uid-1"']);
      await next.remove('uid-1', ips('10.0.0.1'));
      assert.deepEqual(members(node), []);
    }));

  test('stale entries are pruned only when every address is known, missing ones are always put back', () =>
    withNode('nft', async ({ node, exemption }) => {
      await exemption.start();
      await exemption.add('uid-1', ips('10.0.0.1'));
      node.run('ipset add istio-inpod-probes-v4 10.9.9.9 comment "stale"');
      node.run('ipset del istio-inpod-probes-v4 10.0.0.1');
      const incomplete = await exemption.reconcile(false);
      assert.deepEqual([incomplete.missing, incomplete.stale], [['10.0.0.1'], ['10.9.9.9']]);
      assert.deepEqual(members(node), ['v4 10.0.0.1 comment "uid-1"', 'v4 10.9.9.9 comment "stale"']);
      await exemption.reconcile(true);
      assert.deepEqual(members(node), ['v4 10.0.0.1 comment "uid-1"']);
      node.run('iptables-nft -t nat -F; ipset destroy istio-inpod-probes-v4 2>/dev/null; true');
      await exemption.reconcile(true);
      assert.deepEqual(members(node), ['v4 10.0.0.1 comment "uid-1"']);
    }));

  test('a thousand pods at once are a handful of calls of ipset', () =>
    withNode('nft', async ({ node, exemption }) => {
      await exemption.start();
      const pods = Array.from({ length: 1000 }, (_, i) => ({
        uid: `uid-${i}`,
        ip: `10.1.${i >> 8}.${i & 255}`,
      }));
      await Promise.all(pods.map((pod) => exemption.add(pod.uid, ips(pod.ip))));
      assert.equal(members(node).length, 1000);
      await Promise.all(pods.map((pod) => exemption.remove(pod.uid, ips(pod.ip))));
      assert.equal(members(node).length, 0);
    }));

  test('on a host without IPv6 only IPv4 is set up, and IPv6 addresses of pods are no error', () =>
    withNode('nft', async ({ node, exemption }) => {
      node.run("sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'");
      await exemption.start();
      await exemption.add('uid-1', ips('10.0.0.1', 'fd00::1'));
      assert.equal(node.run('ipset list -name').trim(), 'istio-inpod-probes-v4');
      assert.deepEqual((await exemption.reconcile(true)).missing, []);
      await exemption.uninstall();
    }));
});
