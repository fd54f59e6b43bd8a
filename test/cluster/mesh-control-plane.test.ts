/** What depends on the control plane, on the API server and on the root certificate, and what does not. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadResult, loadWhile } from '../support/cluster/call-load.ts';
import { startClientAndServer } from '../support/cluster/client-and-server.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod } from '../support/cluster/cluster-manifests.ts';
import { runCommand } from '../support/cluster/command.ts';
import { MESH_NAMESPACE, Mesh } from '../support/cluster/mesh.ts';
import { HTTP_PORT, policyManifest, serviceManifest } from '../support/mesh-manifests.ts';

const NAMESPACE = 'mesh-control-plane';
const PER_SECOND = 50;
/** Ten minutes are meant, for which there is no time by default; AMBIT_OUTAGE_SECONDS=600 is the whole of it. */
const OUTAGE_MS = Number(process.env.AMBIT_OUTAGE_SECONDS ?? 15) * 1000;
const DEPLOYMENT = `/apis/apps/v1/namespaces/${MESH_NAMESPACE}/deployments/ambit-controlplane`;
const ROOTS = `/api/v1/namespaces/${NAMESPACE}/configmaps/istio-ca-root-cert`;

describe('the control plane', () => {
  let cluster: Cluster;
  let mesh: Mesh;
  let url: string;

  before(async () => {
    cluster = Cluster.current();
    mesh = new Mesh(cluster);
    url = await startClientAndServer(mesh, cluster, NAMESPACE);
  });
  after(async () => {
    await cluster.deleteNamespace(NAMESPACE);
    cluster.dispose();
  });

  async function underLoad(t: TestContext, action: () => Promise<unknown>): Promise<LoadResult> {
    const enter = await cluster.enterPod(NAMESPACE, 'client');
    const result = await loadWhile({ enter, target: url, perSecond: PER_SECOND }, action);
    t.diagnostic(`${result.failed} of ${result.calls} calls failed ${JSON.stringify(result.errors)}`);
    assert.ok(result.calls > 0);
    return result;
  }

  /** A pod that is new to everybody is called by its name. */
  async function newPodJoins(name: string): Promise<void> {
    await cluster.apply(
      clusterPod({ name, namespace: NAMESPACE, node: 'node3' }),
      serviceManifest({ name, namespace: NAMESPACE, families: 'single' }),
    );
    await cluster.podReady(NAMESPACE, name);
    await mesh.enrolled(NAMESPACE);
    const client = await cluster.callerIn(NAMESPACE, 'client');
    const answer = await cluster.until(`${name} answers`, () => client.echo(`http://${name}.${NAMESPACE}/`));
    assert.equal(answer.name, name);
  }

  test('nothing that runs misses it while it is scaled to none, and it catches up when it is back', async (t: TestContext) => {
    const { replicas } = (await cluster.api.get<{ spec: { replicas: number } }>(DEPLOYMENT)).spec;
    const { failed, errors } = await underLoad(t, async () => {
      await cluster.api.patch(DEPLOYMENT, { spec: { replicas: 0 } });
      await cluster.until(
        'no control plane runs',
        async () => (await mesh.pods('controlplane')).length === 0,
      );
      await delay(OUTAGE_MS);
    });
    assert.equal(failed, 0, JSON.stringify(errors));
    await cluster.api.patch(DEPLOYMENT, { spec: { replicas } });
    await cluster.rolledOut(MESH_NAMESPACE, 'deployment/ambit-controlplane');
    await newPodJoins('after-outage');
  });

  test('an API server that is started again costs no call, and changes arrive afterwards', async (t: TestContext) => {
    const { failed, errors } = await underLoad(t, () => cluster.nodes.restartServer('kube-apiserver'));
    assert.equal(failed, 0, JSON.stringify(errors));
    await newPodJoins('after-restart');
    const client = await cluster.callerIn(NAMESPACE, 'client');
    const deny = policyManifest(NAMESPACE, 'deny-all', {});
    await cluster.apply(deny);
    await cluster.until('the policy holds', async () => (await client.outcome(url)) !== 'ok');
    await cluster.delete(deny);
    await cluster.until('the policy is gone', async () => (await client.outcome(url)) === 'ok');
  });

  test('the root certificate is rotated without a failed call', async (t: TestContext) => {
    const before = await rootsOf();
    const { failed, errors } = await underLoad(t, async () => {
      await runCommand(['ambit', 'ca', 'rotate']);
      await cluster.until(
        'both roots are published',
        async () => (await rootsOf()).length === before.length + 1,
      );
    });
    assert.equal(failed, 0, JSON.stringify(errors));
    await newPodJoins('after-rotation');
    const client = await cluster.callerIn(NAMESPACE, 'client');
    const server = await cluster.podIp(NAMESPACE, 'server');
    assert.equal((await client.echo(`http://${server}:${HTTP_PORT}/`)).name, 'server');
  });

  async function rootsOf(): Promise<readonly string[]> {
    const { data } = await cluster.api.get<{ data: Readonly<Record<string, string>> }>(ROOTS);
    return data['root-cert.pem']?.match(/-----BEGIN CERTIFICATE-----/g) ?? [];
  }
});
