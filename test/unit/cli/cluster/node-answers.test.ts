/** Which pod of a node is asked, and what becomes of those that do not answer. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../../../src/base/errors.ts';
import type { Cluster, PodRequest } from '../../../../src/cli/cluster/cluster.ts';
import { askAgents, podByNode } from '../../../../src/cli/cluster/node-answers.ts';
import { part } from '../check/objects.ts';

function aged(name: string, createdAt: string, wish: Parameters<typeof part>[2] = {}) {
  const pod = part('ztunnel', name, wish);
  return { ...pod, metadata: { ...pod.metadata, creationTimestamp: createdAt } };
}

function chosen(...pods: readonly ReturnType<typeof aged>[]): string | undefined {
  return podByNode(pods, 'ztunnel').get('worker1')?.metadata.name;
}

test('while one proxy takes over from another, the newest that is ready is asked', () => {
  const old = aged('old', '2026-01-01T00:00:00Z');
  const next = aged('next', '2026-01-02T00:00:00Z');
  const starting = aged('starting', '2026-01-03T00:00:00Z', { ready: false });
  assert.equal(chosen(next, old), 'next');
  assert.equal(chosen(old, starting), 'old');
  assert.equal(chosen(starting), 'starting');
  assert.equal(chosen(aged('ended', '2026-01-04T00:00:00Z', { phase: 'Failed' }), old), 'old');
});

/** Only `ask` is called here. */
function clusterThat(ask: (request: PodRequest) => Promise<string>): Cluster {
  const refuse = () => Promise.reject(new Error('not expected'));
  return {
    api: { request: refuse },
    meshNamespace: 'ambit-system',
    apply: refuse,
    ask,
    close: async () => {},
  };
}

test('an agent that is silent or talks nonsense does not keep others from answering', async () => {
  const pods = ['a', 'b', 'c'].map((name) => part('cni', name, { node: `node-${name}` }));
  const cluster = clusterThat(async ({ pod }) => {
    if (pod.name === 'a') throw new AmbitError('AMBIT_X', { side: 'internal', hint: '' }, 'no answer');
    return pod.name === 'b' ? 'nonsense' : '{"node":"node-c","ready":true,"ztunnelConnections":1,"pods":[]}';
  });
  const answers = await askAgents(cluster, pods, 'as-known');
  assert.deepEqual(answers.get('node-a'), { kind: 'silent', reason: 'no answer' });
  assert.equal(answers.get('node-b')?.kind, 'silent');
  assert.equal(answers.get('node-c')?.kind, 'answered');
});

test('an agent that cannot be made to look tells what it knows', async () => {
  const asked: string[] = [];
  const cluster = clusterThat(async ({ method, path }) => {
    asked.push(`${method} ${path}`);
    if (method === 'POST') throw new Error('404');
    return '{"pods":[]}';
  });
  const answers = await askAgents(cluster, [part('cni', 'a')], 'verified');
  assert.equal(answers.get('worker1')?.kind, 'answered');
  assert.deepEqual(asked, ['POST /verify', 'GET /enrolment']);
});
