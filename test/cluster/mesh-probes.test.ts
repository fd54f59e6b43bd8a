/** Probes of every kind stay green through everything that the mesh may do to a pod. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from '../support/cluster/cluster.ts';
import {
  checkoutCommand,
  clusterPod,
  echoContainer,
  toolsContainer,
} from '../support/cluster/cluster-manifests.ts';
import { hasCondition, type Pod, restartsOf } from '../support/cluster/cluster-objects.ts';
import { type Component, MESH_NAMESPACE, Mesh } from '../support/cluster/mesh.ts';
import {
  AMBIENT,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  peerAuthenticationManifest,
  policyManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';

const NAMESPACE = 'mesh-probes';
const PLAIN = 'mesh-probes-plain';
const GRPC_PORT = 9090;
/** Every kind of probe is made several times in it. */
const OBSERVED_MS = 4000;

/** One failure is enough for consequences; a second is not much on a machine that has other things to do. */
function probed(probe: Manifest): Manifest {
  const impatient = { ...probe, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10 };
  return {
    readinessProbe: impatient,
    livenessProbe: impatient,
    startupProbe: { ...probe, periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 10 },
  };
}

const PROBES: Readonly<Record<string, Manifest>> = {
  http: echoContainer(probed({ httpGet: { path: '/', port: HTTP_PORT } })),
  tcp: echoContainer(probed({ tcpSocket: { port: TCP_PORT } })),
  exec: toolsContainer(probed({ exec: { command: ['true'] } })),
  grpc: toolsContainer({
    command: checkoutCommand('test/support/cluster/grpc-health-main.ts'),
    ...probed({ grpc: { port: GRPC_PORT } }),
  }),
};

describe('probes', () => {
  let cluster: Cluster;
  let mesh: Mesh;
  let first: readonly string[];

  before(async () => {
    cluster = Cluster.current();
    mesh = new Mesh(cluster);
    await cluster.apply(
      namespaceManifest(NAMESPACE),
      namespaceManifest(PLAIN),
      ...Object.entries(PROBES).map(([name, container]) =>
        clusterPod({ name, namespace: NAMESPACE, node: 'node1', container }),
      ),
      clusterPod({ name: 'outsider', namespace: PLAIN, node: 'node2', container: toolsContainer() }),
    );
    await cluster.podsReady(NAMESPACE, Object.keys(PROBES).length);
    first = (await cluster.pods(NAMESPACE)).map(healthOf);
  });
  after(async () => {
    for (const namespace of [NAMESPACE, PLAIN]) await cluster.deleteNamespace(namespace);
    cluster.dispose();
  });

  /** No container was started again, and no pod was unready for a moment, since the beginning. */
  async function assertGreen(): Promise<void> {
    await delay(OBSERVED_MS);
    assert.deepEqual((await cluster.pods(NAMESPACE)).map(healthOf), first);
  }

  async function outsiderReaches(): Promise<boolean> {
    const outsider = await cluster.callerIn(PLAIN, 'outsider');
    return (
      (await outsider.outcome(`http://${await cluster.podIp(NAMESPACE, 'http')}:${HTTP_PORT}/`)) === 'ok'
    );
  }

  async function replace(component: Component): Promise<void> {
    const old = await mesh.podOn(component, 'node1');
    await cluster.kubectl([
      '--namespace',
      MESH_NAMESPACE,
      'delete',
      'pod',
      old.metadata.name,
      '--wait=false',
    ]);
    await cluster.until(`another ${component} on node1`, async () => {
      const now = await mesh.podOn(component, 'node1');
      return now.metadata.uid !== old.metadata.uid;
    });
  }

  test('while pods are enrolled', async () => {
    await cluster.label(NAMESPACE, AMBIENT);
    await mesh.enrolled(NAMESPACE);
    await assertGreen();
  });

  test('where plain text is refused', async () => {
    await cluster.apply(peerAuthenticationManifest(NAMESPACE, 'default', { mtls: { mode: 'STRICT' } }));
    await cluster.until('plain text is refused', async () => !(await outsiderReaches()));
    await assertGreen();
  });

  test('where nobody is let in', async () => {
    await cluster.apply(policyManifest(NAMESPACE, 'deny-all', {}));
    await mesh.everyProxy('nobody is let in', ({ policies }) =>
      policies.some((one) => one.namespace === NAMESPACE && one.name === 'deny-all'),
    );
    await assertGreen();
  });

  test('while the agent of the node is replaced', async () => {
    await replace('cni');
    await assertGreen();
  });

  test('while the proxy of the node is replaced', async () => {
    await replace('ztunnel');
    await assertGreen();
  });

  test('while the proxy of the node is killed', async () => {
    await cluster.killContainer(await mesh.podOn('ztunnel', 'node1'));
    await assertGreen();
    await mesh.ready();
  });

  test('while pods leave the mesh', async () => {
    await cluster.label(NAMESPACE, { 'istio.io/dataplane-mode': null });
    await mesh.enrolled(NAMESPACE, false);
    await cluster.until('plain text reaches the pod', outsiderReaches);
    await assertGreen();
  });
});

/** Changes when a container is started again or the pod was not ready for a moment. */
function healthOf(pod: Pod): string {
  const { name } = pod.metadata;
  const ready = pod.status.conditions?.find((one) => one.type === 'Ready');
  const state = hasCondition(pod.status.conditions, 'Ready') ? 'ready' : 'not ready';
  return `${name}: ${state} since ${ready?.lastTransitionTime}, ${restartsOf(pod)} restarts`;
}
