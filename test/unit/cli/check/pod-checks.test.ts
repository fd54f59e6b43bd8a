/** The checks of the pods of the mesh. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POD_CHECKS, type PodFacts } from '../../../../src/cli/check/pod-checks.ts';
import { agentAnswer, brief, find, pod, proxyAnswer, reported, SILENT } from './objects.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const ENABLED = { 'ambient.istio.io/redirection': 'enabled' };

const UP = { workloadState: { 'uid-orders': { state: 'Up' } } };
const KNOWN = { workloads: [{ workloadIps: ['10.244.1.5'], protocol: 'HBONE' }] };

function facts(wish: Partial<PodFacts> = {}): PodFacts {
  return {
    now: NOW,
    pods: [pod('orders', { annotations: ENABLED })],
    agents: new Map([['worker1', agentAnswer([reported('orders')])]]),
    proxies: new Map([['worker1', proxyAnswer({ ...UP, ...KNOWN })]]),
    isWanted: () => true,
    ...wish,
  };
}

function findings(code: string, wish: Partial<PodFacts>): string[] {
  return brief(find(POD_CHECKS, `AMBIT_CHECK_${code}`, facts(wish)));
}

function agentSays(wish: Parameters<typeof reported>[1]): Partial<PodFacts> {
  return { agents: new Map([['worker1', agentAnswer([reported('orders', wish)])]]) };
}

test('a pod that is captured, certified and known has no findings', () => {
  for (const check of POD_CHECKS) assert.deepEqual(check.find(facts()), [], check.code);
});

test('a wanted pod that the agent has not enrolled is an error with the reason', () => {
  const lastError = { code: 'AMBIT_CNI_NETNS_NOT_FOUND', message: 'no network namespace' };
  assert.deepEqual(findings('ENROLLED', agentSays({ state: 'failed', lastError })), [
    'error pod/shop/orders: is failed: no network namespace (AMBIT_CNI_NETNS_NOT_FOUND)',
  ]);
  assert.deepEqual(findings('ENROLLED', agentSays({ state: 'pending' })), [
    'error pod/shop/orders: is pending',
  ]);
});

test('a wanted pod that the agent does not know is an error; the verdict of the agent counts more than labels', () => {
  const agents = new Map([['worker1', agentAnswer([])]]);
  assert.deepEqual(findings('ENROLLED', { agents }), ['error pod/shop/orders: is not known to the agent']);
  assert.deepEqual(findings('ENROLLED', agentSays({ wanted: false, state: 'out' })), []);
});

test('where the agent is silent only the annotation can tell', () => {
  const agents = new Map([['worker1', SILENT]]);
  assert.deepEqual(findings('ENROLLED', { agents }), []);
  assert.deepEqual(findings('ANNOTATED', { agents, pods: [pod('orders')] }), [
    'error pod/shop/orders: is in the mesh, but its annotation is missing',
  ]);
});

test('an annotation that does not say what is the case is an error', () => {
  assert.deepEqual(findings('ANNOTATED', { pods: [pod('orders')] }), [
    'error pod/shop/orders: is in the mesh, but its annotation is missing',
  ]);
  assert.deepEqual(findings('ANNOTATED', agentSays({ wanted: false, state: 'out' })), [
    'error pod/shop/orders: is not in the mesh, but its annotation says so',
  ]);
});

test('pods that have ended or are on their way out are not looked at', () => {
  const pods = [pod('orders', { phase: 'Succeeded' })];
  for (const check of POD_CHECKS) assert.deepEqual(check.find(facts({ pods })), [], check.code);
});

test('an enrolled pod that its proxy does not carry is an error', () => {
  const without = new Map([['worker1', proxyAnswer(KNOWN)]]);
  assert.deepEqual(findings('CAPTURED', { proxies: without }), [
    'error pod/shop/orders: its proxy does not know it',
  ]);
  const pending = new Map([
    ['worker1', proxyAnswer({ workloadState: { 'uid-orders': { state: 'Pending' } } })],
  ]);
  assert.deepEqual(findings('CAPTURED', { proxies: pending }), [
    'error pod/shop/orders: its proxy says Pending',
  ]);
});

test('rules that were missing an hour ago are history, and a bypass never is', () => {
  const at = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
  const lost = { kind: 'rules-missing', at: at(5), detail: 'nat ISTIO_OUTPUT' };
  assert.deepEqual(findings('RULES', agentSays({ findings: [lost, { ...lost, at: at(90) }] })), [
    `warning pod/shop/orders: rules-missing at ${at(5)}: nat ISTIO_OUTPUT`,
  ]);
  const bypass = { kind: 'capture-bypassed', at: at(90), detail: 'nat OUTPUT ACCEPT' };
  assert.deepEqual(findings('RULES', agentSays({ findings: [bypass] })), [
    `error pod/shop/orders: capture-bypassed at ${at(90)}: nat OUTPUT ACCEPT`,
  ]);
});

test('annotations that the agent does not understand are warnings', () => {
  assert.deepEqual(
    findings('POD_OPTIONS', agentSays({ warnings: ['dns-capture: maybe is neither true nor false'] })),
    ['warning pod/shop/orders: dns-capture: maybe is neither true nor false'],
  );
});

test('an identity without a fresh certificate is told', () => {
  const identity = 'spiffe://cluster.local/ns/shop/sa/orders';
  const leaf = (validFrom: string, expirationTime: string) => ({
    proxies: new Map([
      ['worker1', proxyAnswer({ certificates: [{ identity, certChain: [{ validFrom, expirationTime }] }] })],
    ]),
  });
  assert.deepEqual(findings('CERTIFICATES', leaf('2026-06-01T00:00:00Z', '2026-06-02T00:00:00Z')), []);
  assert.deepEqual(findings('CERTIFICATES', leaf('2026-05-31T12:30:00Z', '2026-06-01T12:30:00Z')), [
    `warning ${identity} on node worker1: expires at 2026-06-01T12:30:00Z and was not renewed`,
  ]);
  assert.deepEqual(findings('CERTIFICATES', leaf('2026-05-31T00:00:00Z', '2026-06-01T00:00:00Z')), [
    `error ${identity} on node worker1: expired at 2026-06-01T00:00:00Z`,
  ]);
  assert.deepEqual(findings('CERTIFICATES', leaf('2026-06-02T00:00:00Z', '2026-06-03T00:00:00Z')), [
    `error ${identity} on node worker1: is valid only from 2026-06-02T00:00:00Z`,
  ]);
  const none = new Map([
    ['worker1', proxyAnswer({ certificates: [{ identity, state: 'Unavailable: refused' }] })],
  ]);
  assert.deepEqual(findings('CERTIFICATES', { proxies: none }), [
    `error ${identity} on node worker1: has no certificate: Unavailable: refused`,
  ]);
});

test('a pod that some proxy does not know, or knows as plain TCP, is told with that node', () => {
  const plain = { workloads: [{ workloadIps: ['10.244.1.5'], protocol: 'TCP' }] };
  const proxies = new Map([
    ['worker1', proxyAnswer({ ...UP, ...KNOWN })],
    ['worker2', proxyAnswer()],
    ['worker3', proxyAnswer(plain)],
    ['worker4', SILENT],
  ]);
  assert.deepEqual(findings('KNOWN_TO_PEERS', { proxies }), [
    'error pod/shop/orders: is not known on node worker2',
    'error pod/shop/orders: is known as one that speaks plain TCP on node worker3',
  ]);
});
