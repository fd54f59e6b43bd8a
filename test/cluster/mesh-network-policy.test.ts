/**
 * NetworkPolicies see the mesh as traffic to port 15008. The testbed has no engine for them, so the rules that one would make
 * are put into the forward path of the server's node.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { Mesh } from '../support/cluster/mesh.ts';
import { AMBIENT, HTTP_PORT, namespaceManifest } from '../support/mesh-manifests.ts';

const MESHED = 'netpol-meshed';
const PLAIN = 'netpol-plain';
const HBONE_PORT = 15008;

describe('network policies', () => {
  let cluster: Cluster;
  let server: string;

  before(async () => {
    cluster = Cluster.current();
    await cluster.apply(
      namespaceManifest(MESHED, AMBIENT),
      namespaceManifest(PLAIN),
      clusterPod({ name: 'client', namespace: MESHED, node: 'node1', container: toolsContainer() }),
      clusterPod({ name: 'client', namespace: PLAIN, node: 'node1', container: toolsContainer() }),
      clusterPod({ name: 'server', namespace: MESHED, node: 'node2' }),
    );
    await cluster.podsReady(MESHED, 2);
    await cluster.podsReady(PLAIN, 1);
    await new Mesh(cluster).enrolled(MESHED);
    server = await cluster.podIp(MESHED, 'server');
  });
  after(async () => {
    for (const namespace of [MESHED, PLAIN]) await cluster.deleteNamespace(namespace);
    cluster.dispose();
  });

  /** What an engine does for a policy that selects the server and does not allow a port: connections are refused. */
  async function whereRefused(port: number, check: () => Promise<void>): Promise<void> {
    const rule = ['FORWARD', '--proto', 'tcp', '--dst', server, '--dport', String(port), '--jump', 'REJECT'];
    await cluster.nodes.run('node2', 'iptables', '--wait', '--insert', ...rule);
    try {
      await check();
    } finally {
      await cluster.nodes.run('node2', 'iptables', '--wait', '--delete', ...rule);
    }
  }

  async function outcomeFrom(namespace: string): Promise<string> {
    const client = await cluster.callerIn(namespace, 'client');
    return client.outcome(`http://${server}:${HTTP_PORT}/`);
  }

  test('a policy that allows 15008 alone lets the mesh in, and nobody else', async () => {
    await whereRefused(HTTP_PORT, async () => {
      assert.equal(await outcomeFrom(MESHED), 'ok');
      assert.notEqual(await outcomeFrom(PLAIN), 'ok');
    });
  });

  test('a policy that forgets 15008 cuts the mesh off: no call goes around it in plain text', async () => {
    await whereRefused(HBONE_PORT, async () => {
      assert.equal(await outcomeFrom(PLAIN), 'ok');
      const segments = await cluster.nodes.capture('node1', async () => {
        assert.notEqual(await outcomeFrom(MESHED), 'ok');
      });
      assert.deepEqual(
        segments.filter((one) => one.destination === `${server}:${HTTP_PORT}`),
        [],
      );
    });
    await cluster.until('the mesh to be let in again', async () => (await outcomeFrom(MESHED)) === 'ok');
  });
});
