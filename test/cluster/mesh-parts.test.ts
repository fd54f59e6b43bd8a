/** Parts of the mesh that are upgraded, deleted or killed while pods call each other. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadResult, loadWhile } from '../support/cluster/call-load.ts';
import { startClientAndServer } from '../support/cluster/client-and-server.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { isReady } from '../support/cluster/cluster-objects.ts';
import { type Component, MESH_NAMESPACE, Mesh } from '../support/cluster/mesh.ts';
import { HTTP_PORT, type Manifest } from '../support/mesh-manifests.ts';

const NAMESPACE = 'mesh-parts';
const PER_SECOND = 100;
/** Under load before something happens and after it. */
const CALM_MS = 2000;
const CALLS = 20;

const WORKLOADS: Readonly<Record<Component, string>> = {
  controlplane: 'deployment/ambit-controlplane',
  cni: 'daemonset/ambit-cni',
  ztunnel: 'daemonset/ambit-ztunnel',
};

describe('parts of the mesh under load', () => {
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

  /** New connections all the while, from some time before the action until some time after it. */
  async function underLoad(t: TestContext, action: () => Promise<unknown>): Promise<LoadResult> {
    const enter = await cluster.enterPod(NAMESPACE, 'client');
    const result = await loadWhile({ enter, target: url, perSecond: PER_SECOND }, async () => {
      await delay(CALM_MS);
      await action();
      await delay(CALM_MS);
    });
    const { calls, failed, errors, latencyMs } = result;
    t.diagnostic(`${failed} of ${calls} calls failed ${JSON.stringify(errors)}; p99 ${latencyMs.p99} ms`);
    return result;
  }

  /** A proxy that goes down takes its connections along; the calls after it succeed. */
  async function callsSucceed(): Promise<void> {
    const client = await cluster.callerIn(NAMESPACE, 'client');
    await cluster.until('calls succeed again', async () => (await client.outcome(url)) === 'ok');
    for (let i = 0; i < CALLS; i++) assert.equal((await client.echo(url)).name, 'server');
  }

  async function upgrade(component: Component): Promise<void> {
    await cluster.kubectl(['--namespace', MESH_NAMESPACE, 'rollout', 'restart', WORKLOADS[component]]);
    await cluster.rolledOut(MESH_NAMESPACE, WORKLOADS[component]);
  }

  async function deletePod(component: Component, node: string): Promise<void> {
    const { metadata } = await mesh.podOn(component, node);
    await cluster.kubectl(['--namespace', MESH_NAMESPACE, 'delete', 'pod', metadata.name]);
    await mesh.ready();
  }

  async function kill(component: Component): Promise<void> {
    const pod = (await mesh.pods(component)).find((one) => isReady(one));
    assert.ok(pod);
    await cluster.killContainer(pod);
    await mesh.ready();
  }

  for (const component of ['ztunnel', 'cni', 'controlplane'] as const) {
    test(`no new connection fails while ${component} is upgraded on every node`, async (t: TestContext) => {
      const { failed, errors } = await underLoad(t, () => upgrade(component));
      assert.equal(failed, 0, JSON.stringify(errors));
      await assertCaptured('client');
    });
  }

  for (const component of ['cni', 'controlplane'] as const) {
    test(`no call fails when ${component} is killed, and when its pod is deleted`, async (t: TestContext) => {
      const { failed, errors } = await underLoad(t, async () => {
        await kill(component);
        const [pod] = await mesh.pods(component);
        await deletePod(component, pod!.spec.nodeName);
      });
      assert.equal(failed, 0, JSON.stringify(errors));
    });
  }

  for (const [node, end] of [
    ['node1', 'client'],
    ['node2', 'server'],
  ] as const) {
    test(`a proxy at the ${end}'s end that is killed is back by itself, and nothing goes past it meanwhile`, async (t: TestContext) => {
      await underLoad(t, async () => {
        await cluster.killContainer(await mesh.podOn('ztunnel', node));
        await callsSucceed();
      });
      await mesh.ready();
      await callsSucceed();
      await assertCaptured('client');
    });
  }

  test('a proxy whose pod is deleted is replaced, and nothing goes past it meanwhile', async (t: TestContext) => {
    await underLoad(t, () => deletePod('ztunnel', 'node1'));
    await callsSucceed();
    await assertCaptured('client');
  });

  test('a pod that starts while the agent of its node hangs, and is killed, is in the mesh before it runs', async () => {
    const agent = await mesh.podOn('cni', 'node1');
    const pid = cluster.nodes.pidOf('node1', agent.status.containerStatuses![0]!.containerID!);
    process.kill(pid, 'SIGSTOP');
    try {
      await cluster.apply(
        clusterPod({ name: 'early', namespace: NAMESPACE, node: 'node1', container: eager() }),
      );
      await delay(CALM_MS);
      assert.equal((await cluster.pod(NAMESPACE, 'early')).status.phase, 'Pending');
    } finally {
      process.kill(pid, 'SIGKILL');
    }
    await cluster.podReady(NAMESPACE, 'early');
    await assertCaptured('early');
  });

  /** Calls from its first moment on, for as long as it lives. */
  function eager(): Manifest {
    const server = `server.${NAMESPACE}:80`;
    const call = `while :; do curl --silent --output /dev/null --max-time 5 http://${server}/; sleep 0.1; done`;
    return toolsContainer({ command: ['bash', '-c', call] });
  }

  /** The server's proxy has seen calls of the workload, each with its identity. */
  async function assertCaptured(workload: string): Promise<void> {
    const identity = `spiffe://cluster.local/ns/${NAMESPACE}/sa/default`;
    await mesh.accessLine('node2', {
      direction: 'inbound',
      'src.workload': workload,
      'src.identity': identity,
    });
    await assertNothingPlainFrom(workload);
  }

  /** Whoever goes past the client's proxy comes to the server's without an identity. */
  async function assertNothingPlainFrom(workload: string): Promise<void> {
    const plain = (await mesh.log('node2')).filter(
      ({ scope, fields }) =>
        scope === 'access' &&
        fields.direction === 'inbound' &&
        fields['src.workload'] === workload &&
        !fields['src.identity'],
    );
    assert.deepEqual(plain, []);
  }

  test('a node that loses its power comes back with its pods in the mesh, none of which ran outside it', async () => {
    await cluster.nodes.reboot('node1');
    await cluster.until('the pod to be started again and captured', async () => {
      const { status, metadata } = await cluster.pod(NAMESPACE, 'early');
      const restarted = (status.containerStatuses?.[0]?.restartCount ?? 0) > 0;
      return restarted && metadata.annotations?.['ambient.istio.io/redirection'] === 'enabled';
    });
    await mesh.ready();
    await cluster.podReady(NAMESPACE, 'client');
    await mesh.enrolled(NAMESPACE);
    await callsSucceed();
    await assertCaptured('early');
    const server = await cluster.podIp(NAMESPACE, 'server');
    const client = await cluster.callerIn(NAMESPACE, 'client');
    const segments = await cluster.nodes.capture('node1', () =>
      client.echo(`http://${server}:${HTTP_PORT}/?word=after-the-reboot`),
    );
    assert.ok(!segments.some((one) => one.text.includes('after-the-reboot')));
  });
});
