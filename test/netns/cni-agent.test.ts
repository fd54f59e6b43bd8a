/** The node agent as a whole: real namespaces, real iptables and ipset, real sockets, objects in a folder. */

import assert from 'node:assert/strict';

import { createServer } from 'node:net';
import { test } from 'node:test';
import { setLogLevels } from '../../src/telemetry/log.ts';
import { eventually } from '../support/eventually.ts';
import { listenAsProxy, NodeWorld, reaches, reportOf } from '../support/node-world.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { type PodNamespace, sh } from '../support/pod-namespace.ts';

const NONE = { 'istio.io/dataplane-mode': 'none' };

async function withNode(use: (node: NodeWorld) => Promise<void>): Promise<void> {
  const node = new NodeWorld();
  try {
    await use(node);
  } finally {
    node.close();
  }
}

function probeSet(node: NodeWorld): string {
  return node.host.run("sh -c 'ipset save istio-inpod-probes-v4; ipset save istio-inpod-probes-v6'");
}

function countersOf(pod: PodNamespace): string {
  return pod.run('iptables-nft-save -c').replace(/^#.*$/gm, '');
}

inOwnNamespaces(import.meta.filename, () => {
  setLogLevels('off');

  test('a running pod of an ambient namespace is enrolled, and opting out leaves no trace', () =>
    withNode(async (node) => {
      const [pod, other] = [node.makeSandbox('10.0.0.1', 'fd00::1'), node.makeSandbox('10.0.0.2')];
      const before = pod.fingerprint();
      node.writePod('web', { ips: ['10.0.0.1', 'fd00::1'] });
      node.writePod('old', { ips: ['10.0.0.2'], labels: NONE });
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      const report = await reaches(agent, 'web', 'enrolled');
      assert.deepEqual([report.wanted, report.reason, report.netns], [true, 'selected', pod.path]);
      assert.equal(ztunnel.pods.get('uid-web'), pod.namespace.inode);
      assert.deepEqual(ztunnel.infos.get('uid-web'), {
        name: 'web',
        namespace: 'shop',
        serviceAccount: 'seller',
        searchDomains: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      });
      assert.match(pod.run('iptables-nft-save'), /--to-ports 15001/);
      assert.match(pod.run('ip6tables-nft-save'), /--to-ports 15001/);
      assert.match(probeSet(node), /10\.0\.0\.1 comment "uid-web"\n(.*\n)*.*fd00::1 comment "uid-web"/);
      await eventually('annotated', () => node.annotationOf('web') === 'enabled');
      assert.equal(reportOf(agent, 'old')?.reason, 'opted-out');
      assert.equal(other.run('iptables-nft-save'), '');

      node.writePod('web', { ips: ['10.0.0.1', 'fd00::1'], labels: NONE });
      await reaches(agent, 'web', 'out');
      assert.equal(pod.fingerprint(), before);
      assert.doesNotMatch(probeSet(node), /uid-web/);
      assert.equal(ztunnel.log.at(-1), 'del uid-web');
      await eventually('not annotated', () => node.annotationOf('web') === undefined);
    }));

  test('a pod at work is not cut off while it joins: its proxy is there before its rules', () =>
    withNode(async (node) => {
      node.writeNamespace('shop', {});
      const [pod, peer] = [node.makeSandbox('10.0.0.1'), node.makeSandbox('10.0.0.2')];
      const servers = [peer.namespace.run(() => createServer((socket) => socket.end('peer')).listen(9000))];
      node.host.run("sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'");
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      // As a proxy does, it answers when it listens.
      ztunnel.answer = (entry) => {
        if (entry === 'add uid-web') servers.push(...listenAsProxy(pod, 'proxy'));
        return '';
      };
      assert.equal(await pod.read('10.0.0.2', 9000), 'peer');
      const answers = new Set<string>();
      node.writeNamespace('shop', { 'istio.io/dataplane-mode': 'ambient' });
      while (!answers.has('proxy')) answers.add(await pod.read('10.0.0.2', 9000));
      await reaches(agent, 'web', 'enrolled');
      node.writeNamespace('shop', {});
      while (!answers.has('peer') || reportOf(agent, 'web')?.state !== 'out') {
        answers.add(await pod.read('10.0.0.2', 9000));
      }
      assert.deepEqual([...answers].sort(), ['peer', 'proxy']);
      for (const server of servers) server.close();
    }));

  test('a pod at work is left alone until there is a ztunnel to carry it', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1');
      const before = pod.fingerprint();
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      const report = await reaches(agent, 'web', 'failed');
      assert.equal(report.lastError?.code, 'AMBIT_CNI_NO_ZTUNNEL');
      assert.equal(pod.fingerprint(), before);
      await eventually('pending', () => node.annotationOf('web') === 'pending');
      const ztunnel = await node.connectZtunnel();
      await reaches(agent, 'web', 'enrolled');
      assert.ok(ztunnel.log.indexOf('add uid-web') < ztunnel.log.indexOf('snapshotSent'));
      await eventually('enabled', () => node.annotationOf('web') === 'enabled');
    }));

  test('labelling a namespace brings its pods in, and taking the label away brings them out', () =>
    withNode(async (node) => {
      node.writeNamespace('shop', {});
      const pod = node.makeSandbox('10.0.0.1');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      await node.connectZtunnel();
      assert.equal(reportOf(agent, 'web')?.state, 'out');
      node.writeNamespace('shop', { 'istio.io/dataplane-mode': 'ambient' });
      await reaches(agent, 'web', 'enrolled');
      node.writeNamespace('shop', {});
      await reaches(agent, 'web', 'out');
      assert.doesNotMatch(pod.run('iptables-nft-save'), /ISTIO/);
    }));

  test('the CNI plugin is answered when the pod is enrolled, before it has an address in its object', () =>
    withNode(async (node) => {
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      const pod = node.makeSandbox('10.0.0.1');
      node.writePod('web', { phase: 'Pending' });
      const answer = await node.addSandboxByPlugin('web', pod, '10.0.0.1');
      assert.deepEqual(answer, { status: 200, body: { enrol: true, reason: 'selected' } });
      assert.equal(ztunnel.pods.get('uid-web'), pod.namespace.inode);
      assert.match(pod.run('iptables-nft-save'), /--to-ports 15001/);
      assert.match(probeSet(node), /10\.0\.0\.1 comment "uid-web"/);

      const outside = node.makeSandbox('10.0.0.2');
      node.writePod('old', { phase: 'Pending', labels: NONE });
      const notEnrolled = await node.addSandboxByPlugin('old', outside, '10.0.0.2');
      assert.deepEqual(notEnrolled, { status: 200, body: { enrol: false, reason: 'opted-out' } });
      assert.equal(outside.run('iptables-nft-save'), '');

      assert.equal((await node.post('/cmdadd', { PodName: 'x' })).status, 400);
      assert.equal((await node.post('/cmddel', { Netns: pod.path })).status, 200);
      await eventually('withdrawn', () => ztunnel.log.at(-1) === 'del uid-web');
      assert.equal(reportOf(agent, 'web')?.wanted, true);
    }));

  test('a pod does not start without a ztunnel, nor unknown, and the plugin is told why', () =>
    withNode(async (node) => {
      await node.startAgent();
      node.writePod('web', { phase: 'Pending' });
      const pods = [node.makeSandbox('10.0.0.1'), node.makeSandbox('10.0.0.2')] as const;
      const [refused, unknown] = await Promise.all([
        node.addSandboxByPlugin('web', pods[0], '10.0.0.1'),
        node.addSandboxByPlugin('nobody', pods[1], '10.0.0.2'),
      ]);
      assert.equal(refused.status, 500);
      assert.match(String(refused.body.error), /pod shop\/web is not in the mesh: AMBIT_CNI_NO_ZTUNNEL/);
      assert.deepEqual([unknown.status, unknown.body.code], [500, 'AMBIT_CNI_POD_UNKNOWN']);
      await node.connectZtunnel();
      const again = node.makeSandbox('10.0.0.3');
      assert.equal((await node.addSandboxByPlugin('web', again, '10.0.0.3')).status, 200);
    }));

  test('a pod that is deleted in the middle of its enrolment leaves nothing', () =>
    withNode(async (node) => {
      node.makeSandbox('10.0.0.1');
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      ztunnel.answer = () => undefined;
      node.writePod('web', { ips: ['10.0.0.1'] });
      await eventually('offered', () => ztunnel.log.includes('add uid-web'));
      node.deletePod('web');
      ztunnel.answer = () => '';
      ztunnel.reply();
      await eventually('gone', () => reportOf(agent, 'web') === undefined);
      assert.equal(ztunnel.log.at(-1), 'del uid-web');
      assert.doesNotMatch(probeSet(node), /uid-web/);
      const next = await node.connectZtunnel();
      assert.deepEqual(next.log, ['snapshotSent']);
    }));

  test('a pod that ends leaves ztunnel and the probe set, though its object stays', () =>
    withNode(async (node) => {
      node.makeSandbox('10.0.0.1');
      node.writePod('job', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      await reaches(agent, 'job', 'enrolled');
      node.writePod('job', { ips: [], phase: 'Succeeded' });
      const report = await reaches(agent, 'job', 'out');
      assert.equal(report.reason, 'terminated');
      assert.equal(ztunnel.log.at(-1), 'del uid-job');
      assert.doesNotMatch(probeSet(node), /uid-job/);
    }));

  test('the next agent takes over what the last one left, without touching it', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1');
      const servers = listenAsProxy(pod);
      node.writePod('web', { ips: ['10.0.0.1'] });
      const first = await node.startAgent();
      await node.connectZtunnel();
      await reaches(first, 'web', 'enrolled');
      await eventually('annotated', () => node.annotationOf('web') === 'enabled');
      pod.run('ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 || true');
      const [counters, set] = [countersOf(pod), probeSet(node)];
      first.stop();
      assert.deepEqual([countersOf(pod), probeSet(node)], [counters, set]);

      const second = await node.startAgent();
      assert.equal(reportOf(second, 'web')?.state, 'enrolled');
      const ztunnel = await node.connectZtunnel();
      assert.deepEqual(ztunnel.log, ['add uid-web', 'snapshotSent']);
      await second.reconcile();
      assert.deepEqual([countersOf(pod), probeSet(node)], [counters, set]);
      assert.deepEqual(reportOf(second, 'web')?.findings, []);
      for (const server of servers) server.close();
    }));

  test('rules that vanished while no agent ran are found, told and repaired', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const first = await node.startAgent();
      await node.connectZtunnel();
      await reaches(first, 'web', 'enrolled');
      await eventually('annotated', () => node.annotationOf('web') === 'enabled');
      first.stop();
      pod.run("sh -c 'for t in nat mangle raw; do iptables-nft -t $t -F; iptables-nft -t $t -X; done'");
      node.host.run('ipset flush istio-inpod-probes-v4');
      const second = await node.startAgent();
      const report = reportOf(second, 'web');
      assert.deepEqual(
        [report?.state, report?.findings.map((one) => one.kind)],
        ['enrolled', ['rules-missing']],
      );
      assert.match(pod.run('iptables-nft-save'), /--to-ports 15001/);
      assert.match(probeSet(node), /10\.0\.0\.1 comment "uid-web"/);
    }));

  test('a pod that opted out while no agent ran is freed by the next one', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const first = await node.startAgent();
      await node.connectZtunnel();
      await reaches(first, 'web', 'enrolled');
      await eventually('annotated', () => node.annotationOf('web') === 'enabled');
      first.stop();
      node.writePod('web', { ips: ['10.0.0.1'], labels: NONE });
      const second = await node.startAgent();
      await reaches(second, 'web', 'out');
      assert.doesNotMatch(pod.run('iptables-nft-save'), /ISTIO/);
      assert.doesNotMatch(probeSet(node), /uid-web/);
      await eventually('not annotated', () => node.annotationOf('web') === undefined);
    }));

  test('a reconciliation finds a pod without rules or without a proxy, and repairs what it can', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      await reaches(agent, 'web', 'enrolled');
      const servers = listenAsProxy(pod);
      pod.run('iptables-nft -t nat -F ISTIO_OUTPUT');
      pod.run('ip rule del pref 32764');
      await agent.reconcile();
      const findings = () => reportOf(agent, 'web')?.findings ?? [];
      assert.deepEqual(
        findings().map((finding) => finding.kind),
        ['rules-missing'],
      );
      assert.match(findings()[0]!.detail, /^IPv4 nat ISTIO_OUTPUT: missing-rule .*; and \d+ more$/);
      assert.match(pod.run('ip rule'), /lookup 100/);
      for (const server of servers) server.close();
      const offers = ztunnel.log.length;
      await agent.reconcile();
      assert.deepEqual(
        findings().map((finding) => finding.kind),
        ['rules-missing', 'proxy-missing'],
      );
      assert.deepEqual(ztunnel.log.slice(offers), ['add uid-web']);
    }));

  test('a sandbox that is made anew takes the place of the old one', () =>
    withNode(async (node) => {
      const old = node.makeSandbox('10.0.0.1');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      await reaches(agent, 'web', 'enrolled');
      sh(`ip netns del ${old.name}`);
      const next = node.makeSandbox('10.0.0.2');
      node.writePod('web', { ips: ['10.0.0.2'] });
      await eventually('handed over', () => ztunnel.pods.get('uid-web') === next.namespace.inode);
      await reaches(agent, 'web', 'enrolled');
      assert.match(next.run('iptables-nft-save'), /--to-ports 15001/);
      assert.match(probeSet(node), /10\.0\.0\.2 comment "uid-web"/);
      assert.doesNotMatch(probeSet(node), /10\.0\.0\.1/);
      sh(`ip netns add ${old.name}`);
    }));

  test('a namespace is never mistaken: two that hold one address are refused until one is gone', () =>
    withNode(async (node) => {
      const [one, other] = [node.makeSandbox('10.0.0.1'), node.makeSandbox('10.0.0.2')];
      other.run('ip addr add 10.0.0.1/32 dev eth0');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      const report = await reaches(agent, 'web', 'failed');
      assert.equal(report.lastError?.code, 'AMBIT_CNI_NETNS_AMBIGUOUS');
      other.run('ip addr del 10.0.0.1/32 dev eth0');
      await reaches(agent, 'web', 'enrolled');
      assert.equal(ztunnel.pods.get('uid-web'), one.namespace.inode);
    }));

  test('one pod that ztunnel refuses does not hold up the others, and comes in when it is taken', () =>
    withNode(async (node) => {
      for (let i = 1; i <= 5; i++) {
        node.makeSandbox(`10.0.0.${i}`);
        node.writePod(`web-${i}`, { ips: [`10.0.0.${i}`] });
      }
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      ztunnel.answer = (entry) => (entry === 'add uid-web-3' ? 'cannot bind' : '');
      node.writeNamespace('shop', {});
      await reaches(agent, 'web-3', 'out');
      node.writeNamespace('shop', { 'istio.io/dataplane-mode': 'ambient' });
      for (const i of [1, 2, 4, 5]) await reaches(agent, `web-${i}`, 'enrolled');
      const report = await reaches(agent, 'web-3', 'failed');
      assert.deepEqual(report.lastError?.message, 'ztunnel: cannot bind');
      await eventually('pending', () => node.annotationOf('web-3') === 'pending');
      ztunnel.answer = () => '';
      await reaches(agent, 'web-3', 'enrolled');
      await eventually('enabled', () => node.annotationOf('web-3') === 'enabled');
    }));

  test('the pages of health, metrics and enrolment tell what is the case', () =>
    withNode(async (node) => {
      node.makeSandbox('10.0.0.1');
      node.writePod('web', {
        ips: ['10.0.0.1'],
        annotations: {
          'traffic.sidecar.istio.io/excludeOutboundPorts': '9000,http',
          'ambient.istio.io/bypass-inbound-capture': 'true',
        },
      });
      const agent = await node.startAgent({ healthPort: 18000, metricsPort: 18014 });
      await node.connectZtunnel();
      await reaches(agent, 'web', 'enrolled');
      const get = async (port: number, path: string) =>
        (await fetch(`http://127.0.0.1:${port}${path}`)).text();
      assert.deepEqual([await get(18000, '/healthz'), await get(18000, '/readyz')], ['ok\n', 'ok\n']);
      sh('ip addr add 192.0.2.1/32 dev lo');
      const statusOverNetwork = async (method: string, path: string) =>
        (await fetch(`http://192.0.2.1:18000${path}`, { method })).status;
      assert.equal(await statusOverNetwork('GET', '/healthz'), 200);
      assert.equal(await statusOverNetwork('GET', '/enrolment'), 403);
      assert.equal(await statusOverNetwork('POST', '/verify'), 403);
      sh('ip addr del 192.0.2.1/32 dev lo');
      const { pods, ztunnelConnections } = JSON.parse(await get(18000, '/enrolment'));
      assert.equal(ztunnelConnections, 1);
      assert.deepEqual(
        [pods[0].name, pods[0].state, pods[0].exclusions, pods[0].warnings],
        [
          'web',
          'enrolled',
          ['all inbound', 'outbound port 9000'],
          ['annotation traffic.sidecar.istio.io/excludeOutboundPorts: "http" is not valid here'],
        ],
      );
      const metrics = await get(18014, '/metrics');
      assert.match(metrics, /^ztunnel_connected 1$/m);
      assert.match(metrics, /^ambit_cni_pods\{state="enrolled"\} 1$/m);
      assert.match(metrics, /^nodeagent_reconcile_events_total\{type="update"\} \d+$/m);
    }));

  test('whoever asks for it has every pod looked at now, and reads what was found', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1');
      node.writePod('web', { ips: ['10.0.0.1'] });
      const agent = await node.startAgent({ healthPort: 18000 });
      await node.connectZtunnel();
      await reaches(agent, 'web', 'enrolled');
      const ask = (method: string, path: string) => fetch(`http://127.0.0.1:18000${path}`, { method });
      const findings = async () => JSON.parse(await (await ask('GET', '/enrolment')).text()).pods[0].findings;
      assert.deepEqual(await findings(), []);
      pod.run('iptables-nft -t nat -F ISTIO_OUTPUT');
      assert.equal((await ask('POST', '/verify')).status, 200);
      assert.equal((await findings())[0].kind, 'rules-missing');
      const { kernel } = JSON.parse(await (await ask('GET', '/enrolment')).text());
      assert.deepEqual(kernel, { ok: true });
    }));

  test('legacy iptables serves as well', () =>
    withNode(async (node) => {
      const pod = node.makeSandbox('10.0.0.1', 'fd00::1');
      const before = pod.fingerprint();
      node.writePod('web', { ips: ['10.0.0.1', 'fd00::1'] });
      const agent = await node.startAgent({ iptables: 'legacy' });
      await node.connectZtunnel();
      await reaches(agent, 'web', 'enrolled');
      assert.match(pod.run('ip6tables-legacy-save'), /--to-ports 15001/);
      assert.match(node.host.run('iptables-legacy-save'), /ISTIO_POSTRT/);
      node.writePod('web', { ips: ['10.0.0.1', 'fd00::1'], labels: NONE });
      await reaches(agent, 'web', 'out');
      assert.equal(pod.fingerprint(), before);
    }));
});
