/** `ambit uninstall` while pods call each other: they go on in plain text, and nothing of the mesh is left on the cluster. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CallLoad, loadWhile } from '../support/cluster/call-load.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { runCommand } from '../support/cluster/command.ts';
import { Mesh } from '../support/cluster/mesh.ts';
import { AMBIENT, HTTP_PORT, namespaceManifest, serviceManifest } from '../support/mesh-manifests.ts';

const NAMESPACE = 'removal';
const NODES = ['node1', 'node2', 'node3'];
const PER_SECOND = 50;
const CALM_MS = 2000;
const UNINSTALL_TIMEOUT_MS = 180_000;

describe('removal of the mesh', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = Cluster.current();
    await cluster.apply(
      namespaceManifest(NAMESPACE, AMBIENT),
      clusterPod({ name: 'client', namespace: NAMESPACE, node: 'node1', container: toolsContainer() }),
      clusterPod({ name: 'server', namespace: NAMESPACE, node: 'node2' }),
      serviceManifest({ name: 'server', namespace: NAMESPACE, families: 'single' }),
    );
    await cluster.podsReady(NAMESPACE, 2);
    await new Mesh(cluster).enrolled(NAMESPACE);
  });
  after(async () => {
    await cluster.deleteNamespace(NAMESPACE);
    cluster.dispose();
  });

  test('under load leaves no lasting failure, and calls are plain afterwards', async (t: TestContext) => {
    const enter = await cluster.enterPod(NAMESPACE, 'client');
    const target = `http://${await cluster.clusterIp(NAMESPACE, 'server')}/`;
    const during = await loadWhile({ enter, target, perSecond: PER_SECOND }, async () => {
      await delay(CALM_MS);
      await runCommand(['ambit', 'uninstall', '--yes'], { timeoutMs: UNINSTALL_TIMEOUT_MS });
    });
    t.diagnostic(`${during.failed} of ${during.calls} calls failed ${JSON.stringify(during.errors)}`);
    const load = await CallLoad.start({ enter, target, perSecond: PER_SECOND });
    await delay(CALM_MS);
    const afterwards = await load.stop();
    assert.equal(afterwards.failed, 0, JSON.stringify(afterwards.errors));
    assert.ok(afterwards.ok > 0);
    const client = await cluster.callerIn(NAMESPACE, 'client');
    const url = `http://${await cluster.podIp(NAMESPACE, 'server')}:${HTTP_PORT}/?word=plain-again`;
    const segments = await cluster.nodes.capture('node1', () => client.echo(url));
    assert.ok(segments.some((one) => one.text.includes('plain-again')));
  });

  test('leaves no rule in a pod', async () => {
    const [program, ...enter] = await cluster.enterPod(NAMESPACE, 'client');
    for (const tool of ['iptables-legacy-save', 'iptables-nft-save', 'ip6tables-nft-save']) {
      const rules = await runCommand([program!, ...enter, tool]);
      assert.doesNotMatch(rules, /ISTIO|15001|15006|15008/, tool);
    }
    assert.doesNotMatch(await runCommand([program!, ...enter, 'ip', 'rule']), /fwmark/);
  });

  test('leaves no file, rule or set on a node', async () => {
    for (const node of NODES) {
      const conflists = await cluster.nodes.run(node, 'bash', '-c', 'cat /etc/cni/net.d/*.conflist');
      assert.doesNotMatch(conflists, /ambit|istio/);
      const found = [
        'find',
        '/opt/cni/bin',
        '/etc/cni/net.d',
        '/run/istio-cni',
        '/run/ztunnel',
        '-mindepth',
        '1',
      ];
      const { output } = await cluster.nodes.tryRun(node, ...found, '-name', '*ambit*');
      assert.equal(output, '');
      assert.doesNotMatch(await cluster.nodes.run(node, 'iptables-save'), /ISTIO|ambit|169\.254\.7\.127/);
      assert.doesNotMatch(await cluster.nodes.run(node, 'ipset', 'list', '-name'), /istio|ambit/);
    }
  });

  test('leaves no object but what people have made', async () => {
    const kinds =
      'namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations';
    assert.doesNotMatch(await cluster.kubectl(['get', kinds, '--output=name']), /ambit/);
    const maps = await cluster.kubectl(['get', 'configmaps', '--all-namespaces', '--output=name']);
    assert.doesNotMatch(maps, /istio-ca-root-cert/);
    const pods = await cluster.pods(NAMESPACE);
    assert.ok(pods.every((pod) => pod.metadata.annotations?.['ambient.istio.io/redirection'] === undefined));
  });

  test('leaves a cluster on which new pods start', async () => {
    await cluster.apply(clusterPod({ name: 'later', namespace: NAMESPACE, node: 'node3' }));
    await cluster.podReady(NAMESPACE, 'later');
  });

  test('done again finds nothing to do, and with --purge takes the resource definitions', async () => {
    await runCommand(['ambit', 'uninstall', '--yes'], { timeoutMs: UNINSTALL_TIMEOUT_MS });
    const definitions = () => cluster.kubectl(['get', 'crds', '--output=name']);
    assert.match(await definitions(), /authorizationpolicies\.security\.istio\.io/);
    await runCommand(['ambit', 'uninstall', '--yes', '--purge'], { timeoutMs: UNINSTALL_TIMEOUT_MS });
    assert.doesNotMatch(await definitions(), /istio\.io/);
  });

  test('leaves a cluster on which an installation is one from nothing', async () => {
    await runCommand(['ambit', 'install'], { timeoutMs: UNINSTALL_TIMEOUT_MS });
    await new Mesh(cluster).enrolled(NAMESPACE);
    await runCommand(['ambit', 'check', '--wait', '60s'], { timeoutMs: UNINSTALL_TIMEOUT_MS });
  });
});
