/** The proxies' DaemonSet is upgraded, its pods deleted and its processes killed, while pods open connections. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, type TestContext, test } from 'node:test';
import { CallLoad, type LoadPlan, type LoadResult, loadWhile } from '../support/cluster/call-load.ts';
import { startClientAndServer } from '../support/cluster/client-and-server.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod } from '../support/cluster/cluster-manifests.ts';
import { isReady, type Pod } from '../support/cluster/cluster-objects.ts';
import { MESH_NAMESPACE, Mesh } from '../support/cluster/mesh.ts';

const NAMESPACE = 'proxy-life';
const DAEMON_SET = 'daemonset/ambit-ztunnel';
const DNS = '/apis/apps/v1/namespaces/kube-system/deployments/coredns';
const PER_SECOND = 200;
/** What is called while a proxy is away is refused; it is called again until this is over. */
const STEP_MS = 120_000;

describe('the proxies of a cluster', () => {
  let cluster: Cluster;
  let mesh: Mesh;
  let plan: LoadPlan;

  before(async () => {
    cluster = Cluster.current();
    mesh = new Mesh(cluster);
    const target = await startClientAndServer(mesh, cluster, NAMESPACE);
    plan = {
      enter: await cluster.enterPod(NAMESPACE, 'client'),
      target,
      perSecond: PER_SECOND,
    };
  });
  after(async () => {
    await cluster.deleteNamespace(NAMESPACE);
    cluster.dispose();
  });

  async function proxyUids(): Promise<readonly string[]> {
    return (await mesh.pods('ztunnel')).map(({ metadata }) => metadata.uid!).toSorted();
  }

  /** Every pod is another one than before, and serves. */
  async function replaced(before: readonly string[]): Promise<void> {
    await cluster.rolledOut(MESH_NAMESPACE, DAEMON_SET);
    await cluster.until(
      'no proxy of before',
      async () => (await proxyUids()).every((uid) => !before.includes(uid)),
      STEP_MS,
    );
    await mesh.ready();
    await mesh.enrolled(NAMESPACE);
  }

  function tell(t: TestContext, { calls, failed, errors, latencyMs }: LoadResult): void {
    t.diagnostic(`${failed} of ${calls} calls failed ${JSON.stringify(errors)}, p99 ${latencyMs.p99} ms`);
  }

  test('are all upgraded one after the other, and no new connection fails', async (t: TestContext) => {
    const before = await proxyUids();
    const result = await loadWhile(plan, async () => {
      await cluster.kubectl(['--namespace', MESH_NAMESPACE, 'rollout', 'restart', DAEMON_SET]);
      await replaced(before);
    });
    tell(t, result);
    assert.deepEqual([result.failed, result.errors], [0, {}]);
    assert.ok(result.calls > PER_SECOND);
  });

  test('come back when one is deleted, and serve until it is gone', async (t: TestContext) => {
    const { metadata } = await mesh.podOn('ztunnel', 'node1');
    const load = await CallLoad.start(plan);
    await cluster.kubectl(['--namespace', MESH_NAMESPACE, 'delete', 'pod', metadata.name, '--wait=false']);
    await isReplaced(metadata.uid!);
    tell(t, await load.stop());
    await succeed();
  });

  test('come back when one is killed, and nothing goes past them meanwhile', async (t: TestContext) => {
    const pod = await mesh.podOn('ztunnel', 'node1');
    const restarts = restartsOf(pod);
    const { nodeName } = pod.spec;
    const { containerID } = pod.status.containerStatuses![0]!;
    const load = await CallLoad.start(plan);
    process.kill(cluster.nodes.pidOf(nodeName, containerID!), 'SIGKILL');
    await cluster.until('the proxy is started again', async () => {
      const now = await mesh.podOn('ztunnel', nodeName);
      return now.metadata.uid === pod.metadata.uid && restartsOf(now) > restarts;
    });
    await mesh.enrolled(NAMESPACE);
    tell(t, await load.stop());
    await succeed();
    const inbound = (await mesh.log('node2')).filter(
      ({ scope, fields }) =>
        scope === 'access' && fields.direction === 'inbound' && fields['src.workload'] === 'client',
    );
    assert.ok(inbound.length > 0);
    assert.deepEqual(
      inbound.filter(({ fields }) => !fields['src.identity']),
      [],
    );
  });

  async function isReplaced(uid: string): Promise<void> {
    await cluster.until('the pod is replaced', async () => !(await proxyUids()).includes(uid), STEP_MS);
    await mesh.ready();
    await mesh.enrolled(NAMESPACE);
  }

  /** After all that, a load without a single failure. */
  async function succeed(): Promise<void> {
    const result = await loadWhile(plan, () => new Promise((resolve) => setTimeout(resolve, 2000)));
    assert.deepEqual([result.failed, result.errors], [0, {}]);
  }

  test('find a control plane that is replaced while DNS is away', async () => {
    const { replicas } = (await cluster.api.get<{ spec: { replicas: number } }>(DNS)).spec;
    const scale = async (count: number) => {
      await cluster.api.patch(DNS, { spec: { replicas: count } });
      await cluster.until(
        `${count} nameservers`,
        async () => (await cluster.pods('kube-system', 'k8s-app=kube-dns')).filter(isReady).length === count,
      );
    };
    const streams = await controlPlanePods();
    await scale(0);
    try {
      await cluster.kubectl([
        '--namespace',
        MESH_NAMESPACE,
        'rollout',
        'restart',
        'deployment/ambit-controlplane',
      ]);
      await cluster.until('other control planes', async () =>
        (await controlPlanePods()).every((name) => !streams.includes(name)),
      );
      await cluster.apply(clusterPod({ name: 'late', namespace: NAMESPACE, node: 'node3' }));
      await cluster.podsReady(NAMESPACE, 3);
      await mesh.enrolled(NAMESPACE);
    } finally {
      await scale(replicas);
    }
  });

  async function controlPlanePods(): Promise<readonly string[]> {
    return (await mesh.pods('controlplane')).map(({ metadata }) => metadata.name);
  }

  test('run with two capabilities, on a read-only root, under the runtime’s own seccomp filter', async () => {
    const pod = await mesh.podOn('ztunnel', 'node1');
    const pid = cluster.nodes.pidOf('node1', pod.status.containerStatuses![0]!.containerID!);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(status)?.[1];
    assert.equal(BigInt(`0x${field('CapBnd')}`), (1n << CAP_NET_ADMIN) | (1n << CAP_SYS_ADMIN));
    assert.deepEqual([field('NoNewPrivs'), field('Seccomp')], ['1', '2']);
  });
});

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

function restartsOf(pod: Pod): number {
  return pod.status.containerStatuses?.[0]?.restartCount ?? 0;
}
