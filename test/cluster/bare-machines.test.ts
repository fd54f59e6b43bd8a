/** What the testbed itself can do to a cluster: power, processes, the wire. Tests of the mesh rely on it. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CallLoad, loadWhile } from '../support/cluster/call-load.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer, workloadManifest } from '../support/cluster/cluster-manifests.ts';
import { hasCondition, isReady, restartsOf } from '../support/cluster/cluster-objects.ts';
import { HTTP_PORT, namespaceManifest, serviceManifest } from '../support/mesh-manifests.ts';

const NAMESPACE = 'bare-machines';

describe('the machines of the testbed', () => {
  let cluster: Cluster;
  let url: string;

  before(async () => {
    cluster = Cluster.current();
    await cluster.apply(
      namespaceManifest(NAMESPACE),
      clusterPod({ name: 'client', namespace: NAMESPACE, node: 'node1', container: toolsContainer() }),
      clusterPod({ name: 'server', namespace: NAMESPACE, node: 'node2' }),
      workloadManifest({ kind: 'Deployment', name: 'web', namespace: NAMESPACE, replicas: 2 }),
      serviceManifest({ name: 'web', namespace: NAMESPACE, families: 'single' }),
    );
    await cluster.podsReady(NAMESPACE, 4);
    url = `http://${await cluster.podIp(NAMESPACE, 'server')}:${HTTP_PORT}/`;
  });
  after(async () => {
    await cluster.deleteNamespace(NAMESPACE);
    cluster.dispose();
  });

  test('three nodes of Kubernetes 1.36 are ready', async () => {
    const nodes = await cluster.listNodes();
    assert.deepEqual(nodes.map((one) => one.metadata.name).sort(), ['node1', 'node2', 'node3']);
    assert.ok(nodes.every((one) => hasCondition(one.status.conditions, 'Ready')));
    assert.match(await cluster.kubectl(['version']), /Server Version: v1\.36\./);
  });

  test('a capture on a node shows what passes in plain text', async () => {
    const client = await cluster.callerIn(NAMESPACE, 'client');
    const segments = await cluster.nodes.capture('node1', () => client.get(`${url}?word=plain-as-day`));
    assert.ok(segments.some((one) => one.text.includes('word=plain-as-day')));
  });

  test('a load of calls counts those that fail, and tries none again', async () => {
    const enter = await cluster.enterPod(NAMESPACE, 'client');
    const good = await loadWhile({ enter, target: url, perSecond: 100 }, () => wait(1000));
    assert.equal(good.failed, 0);
    assert.ok(good.ok > 10, JSON.stringify(good));
    const refused = await CallLoad.start({
      enter,
      target: url.replace(`:${HTTP_PORT}`, ':1'),
      perSecond: 100,
    });
    await wait(500);
    const bad = await refused.stop();
    assert.equal(bad.ok, 0);
    assert.deepEqual(Object.keys(bad.errors), ['ECONNREFUSED']);
  });

  test('a container whose process is killed is started again', async () => {
    const pod = await cluster.pod(NAMESPACE, 'server');
    await cluster.killContainer(pod);
    await cluster.until('the container to be back', async () => {
      const now = await cluster.pod(NAMESPACE, 'server');
      return restartsOf(now) > restartsOf(pod) && isReady(now);
    });
  });

  test('an API server that is killed and started again knows everything', async () => {
    await cluster.nodes.restartServer('kube-apiserver');
    assert.equal((await cluster.pods(NAMESPACE, 'app=web')).length, 2);
  });

  test('a node comes back from a power cut, and so do its pods', async () => {
    const pod = await cluster.pod(NAMESPACE, 'server');
    await cluster.nodes.reboot('node2');
    const back = await cluster.until('the pod to have been started again', async () => {
      const now = await cluster.pod(NAMESPACE, 'server');
      return restartsOf(now) > restartsOf(pod) && isReady(now) && now;
    });
    const client = await cluster.callerIn(NAMESPACE, 'client');
    assert.equal((await client.echo(`http://${back.status.podIP}:${HTTP_PORT}/`)).name, 'server');
  });
});

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
