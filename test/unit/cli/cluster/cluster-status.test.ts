/** The lines of `ambit status` of a cluster. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isHealthy, type NodeFacts, nodeStatus } from '../../../../src/cli/cluster-status.ts';
import { agentAnswer, part, proxyAnswer, reported, SILENT } from '../check/objects.ts';

function facts(wish: Partial<NodeFacts> = {}): NodeFacts {
  return {
    node: 'worker1',
    agentPod: part('cni', 'cni-a'),
    proxyPod: part('ztunnel', 'ztunnel-a'),
    agent: agentAnswer([reported('orders'), reported('job', { wanted: false, state: 'out' })]),
    proxy: proxyAnswer({
      xds: { connected: true, ready: true },
      certificates: [{ state: 'Available' }],
      workloads: [{}, {}],
      workloadState: { u: { connections: { inbound: [{}], outbound: [{}, {}] } } },
    }),
    ...wish,
  };
}

test('a node whose parts do all they should is one line of counts, and healthy', () => {
  assert.deepEqual(nodeStatus(facts()), {
    node: 'worker1',
    agent: 'ready',
    proxy: 'ready',
    version: '0.1.0',
    xds: 'synced',
    pods: '1/1',
    certificates: '1/1',
    workloads: '2',
    services: '0',
    policies: '0',
    connections: '3',
  });
  assert.equal(isHealthy(facts()), true);
});

test('each way in which a node is not as it should be shows', () => {
  const cases: readonly (readonly [Partial<NodeFacts>, string, string])[] = [
    [{ agentPod: undefined, agent: undefined }, 'agent', 'missing'],
    [{ proxyPod: part('ztunnel', 'z', { ready: false }) }, 'proxy', 'not ready'],
    [{ agent: SILENT }, 'agent', 'silent'],
    [{ proxy: proxyAnswer({ xds: { connected: false, ready: true } }) }, 'xds', 'disconnected'],
    [{ proxy: proxyAnswer({ xds: { connected: true, ready: false } }) }, 'xds', 'behind'],
    [{ agent: agentAnswer([reported('orders', { state: 'failed' })]) }, 'pods', '0/1'],
    [{ proxyPod: part('ztunnel', 'z', { version: '0.2.0' }), agent: SILENT }, 'version', '0.1.0,0.2.0'],
  ];
  for (const [wish, column, text] of cases) {
    assert.equal({ ...nodeStatus(facts(wish)) }[column as 'agent'], text);
    assert.equal(isHealthy(facts(wish)), false, column);
  }
});
