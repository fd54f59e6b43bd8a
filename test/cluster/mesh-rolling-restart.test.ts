/** A Deployment is restarted under load from a client that does not try again: what the mesh adds to what fails is nothing. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type LoadResult, loadWhile } from '../support/cluster/call-load.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import {
  clusterPod,
  echoContainer,
  toolsContainer,
  workloadManifest,
} from '../support/cluster/cluster-manifests.ts';
import { Mesh } from '../support/cluster/mesh.ts';
import { AMBIENT, namespaceManifest, serviceManifest } from '../support/mesh-manifests.ts';

const MESHED = 'rolling-meshed';
const PLAIN = 'rolling-plain';
const REPLICAS = 3;
const PER_SECOND = 200;

/** As every application should, it goes on serving until everybody knows that it leaves. */
const GRACEFUL = {
  container: echoContainer({ lifecycle: { preStop: { sleep: { seconds: 3 } } } }),
  podSpec: { terminationGracePeriodSeconds: 10 },
  spec: { strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } },
};

describe('a rolling restart', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = Cluster.current();
    for (const [namespace, labels] of [
      [MESHED, AMBIENT],
      [PLAIN, {}],
    ] as const) {
      await cluster.apply(
        namespaceManifest(namespace, labels),
        clusterPod({ name: 'client', namespace, node: 'node1', container: toolsContainer() }),
        workloadManifest({ kind: 'Deployment', name: 'web', namespace, replicas: REPLICAS, ...GRACEFUL }),
        serviceManifest({ name: 'web', namespace, families: 'single' }),
      );
    }
    for (const namespace of [MESHED, PLAIN]) await cluster.podsReady(namespace, REPLICAS + 1);
    await new Mesh(cluster).enrolled(MESHED);
  });
  after(async () => {
    for (const namespace of [MESHED, PLAIN]) await cluster.deleteNamespace(namespace);
    cluster.dispose();
  });

  async function restartUnderLoad(namespace: string): Promise<LoadResult> {
    const enter = await cluster.enterPod(namespace, 'client');
    const target = `http://${await cluster.clusterIp(namespace, 'web')}/`;
    return loadWhile({ enter, target, perSecond: PER_SECOND }, async () => {
      await cluster.kubectl(['--namespace', namespace, 'rollout', 'restart', 'deployment/web']);
      await cluster.rolledOut(namespace, 'deployment/web');
      await cluster.podsReady(namespace, REPLICAS, 'app=web');
    });
  }

  test('fails no call more in the mesh than without it', async (t: TestContext) => {
    const plain = await restartUnderLoad(PLAIN);
    const meshed = await restartUnderLoad(MESHED);
    t.diagnostic(`without the mesh: ${inWords(plain)}`);
    t.diagnostic(`in the mesh: ${inWords(meshed)}`);
    assert.ok(meshed.failed <= plain.failed, JSON.stringify({ plain: plain.errors, meshed: meshed.errors }));
    assert.ok(Object.keys(meshed.responders).length > REPLICAS, 'the pods were not replaced');
  });
});

function inWords({ calls, failed, errors, latencyMs }: LoadResult): string {
  return `${failed} of ${calls} calls failed ${JSON.stringify(errors)}, p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms`;
}
