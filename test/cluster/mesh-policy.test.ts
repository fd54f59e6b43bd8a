/** PeerAuthentication and AuthorizationPolicy at every scope, and what a change does to connections that are open. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { Mesh, ROOT_NAMESPACE } from '../support/cluster/mesh.ts';
import {
  AMBIENT,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  peerAuthenticationManifest,
  policyManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';
import type { PodCaller } from '../support/pod-caller.ts';

const MESHED = 'policy-meshed';
const PLAIN = 'policy-plain';
const ACCOUNT = { apiVersion: 'v1', kind: 'ServiceAccount' };
/** Of the change in the cluster until the connection is cut: a second, on a machine that does nothing else. */
const CUT_LIMIT_MS = 10_000;
const DEADLINE_MS = 20_000;

const from = (account: string) => ({
  from: [{ source: { principals: [`cluster.local/ns/${MESHED}/sa/${account}`] } }],
});

describe('policy', () => {
  let cluster: Cluster;
  let mesh: Mesh;
  let buyer: PodCaller;
  let guest: PodCaller;
  let outsider: PodCaller;
  let server: string;

  before(async () => {
    cluster = Cluster.current();
    mesh = new Mesh(cluster);
    const caller = (name: string, namespace: string) =>
      clusterPod({
        name,
        namespace,
        node: 'node1',
        container: toolsContainer(),
        spec: { serviceAccountName: namespace === MESHED ? name : 'default' },
      });
    await cluster.apply(
      namespaceManifest(ROOT_NAMESPACE),
      namespaceManifest(MESHED, AMBIENT),
      namespaceManifest(PLAIN),
      ...['buyer', 'guest'].map((name) => ({ ...ACCOUNT, metadata: { name, namespace: MESHED } })),
    );
    await cluster.apply(
      caller('buyer', MESHED),
      caller('guest', MESHED),
      caller('outsider', PLAIN),
      clusterPod({ name: 'server', namespace: MESHED, node: 'node2' }),
    );
    await cluster.podsReady(MESHED, 3);
    await cluster.podsReady(PLAIN, 1);
    await mesh.enrolled(MESHED);
    buyer = await cluster.callerIn(MESHED, 'buyer');
    guest = await cluster.callerIn(MESHED, 'guest');
    outsider = await cluster.callerIn(PLAIN, 'outsider');
    server = await cluster.podIp(MESHED, 'server');
  });
  after(async () => {
    for (const namespace of [MESHED, PLAIN]) await cluster.deleteNamespace(namespace);
    cluster.dispose();
  });

  /** Applies objects, lets the test look, and takes them away again. */
  async function under(manifests: readonly Manifest[], check: () => Promise<void>): Promise<void> {
    await cluster.apply(...manifests);
    try {
      await check();
    } finally {
      await cluster.delete(...manifests);
    }
    await reach({ buyer: true, guest: true, outsider: true });
  }

  /** Waits until callers reach the server, or do not. */
  async function reach(
    expected: Readonly<Record<'buyer' | 'guest' | 'outsider', boolean>>,
    port = HTTP_PORT,
  ) {
    const callers = { buyer, guest, outsider };
    for (const [name, allowed] of Object.entries(expected)) {
      const caller = callers[name as keyof typeof callers];
      const what = `${name} ${allowed ? 'reaches' : 'does not reach'} port ${port}`;
      await cluster.until(what, async () => (await reaches(caller, port)) === allowed, DEADLINE_MS);
    }
  }

  async function reaches(caller: PodCaller, port: number): Promise<boolean> {
    if (port === HTTP_PORT) return (await caller.outcome(`http://${server}:${port}/`)) === 'ok';
    return (await caller.probe(server, port)).kind === 'answered';
  }

  const mutualTls = (mode: string) => ({ mtls: { mode } });
  const selector = { selector: { matchLabels: { app: 'server' } } };

  test('STRICT refuses plain text: for a pod, for a namespace, for the mesh', async () => {
    const scopes = [
      peerAuthenticationManifest(MESHED, 'server', { ...selector, ...mutualTls('STRICT') }),
      peerAuthenticationManifest(MESHED, 'default', mutualTls('STRICT')),
      peerAuthenticationManifest(ROOT_NAMESPACE, 'default', mutualTls('STRICT')),
    ];
    for (const scope of scopes) {
      await under([scope], () => reach({ buyer: true, guest: true, outsider: false }));
    }
  });

  test('PERMISSIVE for a namespace lets plain text in where the mesh is STRICT', async () => {
    const manifests = [
      peerAuthenticationManifest(ROOT_NAMESPACE, 'default', mutualTls('STRICT')),
      peerAuthenticationManifest(MESHED, 'default', mutualTls('PERMISSIVE')),
    ];
    await under(manifests, () => reach({ buyer: true, guest: true, outsider: true }));
  });

  test('STRICT for one port leaves the others alone', async () => {
    const ports = { portLevelMtls: { [TCP_PORT]: mutualTls('STRICT').mtls } };
    await under([peerAuthenticationManifest(MESHED, 'server', { ...selector, ...ports })], async () => {
      await reach({ buyer: true, guest: true, outsider: false }, TCP_PORT);
      await reach({ buyer: true, guest: true, outsider: true }, HTTP_PORT);
    });
  });

  for (const [scope, namespace, target] of [
    ['a pod', MESHED, selector],
    ['a namespace', MESHED, {}],
    ['the mesh', ROOT_NAMESPACE, {}],
  ] as const) {
    test(`ALLOW for ${scope} lets in only those it names`, async () => {
      const spec = { ...target, action: 'ALLOW', rules: [from('buyer')] };
      await under([policyManifest(namespace, 'allow-buyer', spec)], () =>
        reach({ buyer: true, guest: false, outsider: false }),
      );
    });

    test(`DENY for ${scope} keeps out those it names, and wins over ALLOW`, async () => {
      const deny = policyManifest(namespace, 'deny-guest', {
        ...target,
        action: 'DENY',
        rules: [from('guest')],
      });
      const allow = policyManifest(MESHED, 'allow-all', { action: 'ALLOW', rules: [{}] });
      await under([deny], () => reach({ buyer: true, guest: false, outsider: true }));
      await under([deny, allow], () => reach({ buyer: true, guest: false, outsider: true }));
    });
  }

  test('a policy of nothing lets nobody in', async () => {
    await under([policyManifest(MESHED, 'deny-all', {})], () =>
      reach({ buyer: false, guest: false, outsider: false }),
    );
  });

  test('a change cuts the connections that it forbids, and leaves the others open', async (t: TestContext) => {
    const forbidden = await guest.open(server, TCP_PORT);
    const allowed = await buyer.open(server, TCP_PORT);
    for (const connection of [forbidden, allowed]) assert.equal(await connection.exchange('hello'), 'hello');
    const deny = policyManifest(MESHED, 'deny-guest', {
      ...selector,
      action: 'DENY',
      rules: [from('guest')],
    });
    await under([deny], async () => {
      const applied = performance.now();
      const how = await forbidden.ending();
      const tookMs = performance.now() - applied;
      t.diagnostic(`cut (${how}) ${Math.round(tookMs)} ms after kubectl apply had returned`);
      assert.ok(tookMs < CUT_LIMIT_MS);
      assert.equal(await allowed.exchange('still here'), 'still here');
    });
    await allowed.close();
  });

  test('status tells that a policy was accepted', async () => {
    const policy = policyManifest(MESHED, 'allow-buyer', { action: 'ALLOW', rules: [from('buyer')] });
    await under([policy], async () => {
      await cluster.until('the policy to have a condition', async () => {
        const path = `/apis/security.istio.io/v1/namespaces/${MESHED}/authorizationpolicies/allow-buyer`;
        const { status } = await cluster.api.get<{ status?: { conditions?: readonly { status: string }[] } }>(
          path,
        );
        return status?.conditions?.some((one) => one.status === 'True');
      });
    });
  });
});
