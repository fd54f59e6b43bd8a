/** The checks of the mesh's own parts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESH_CHECKS } from '../../../../src/cli/check/mesh-checks.ts';
import type { MeshFacts } from '../../../../src/cli/check/mesh-facts.ts';
import {
  agentAnswer,
  brief,
  configMap,
  daemonSet,
  deployment,
  find,
  meta,
  node,
  part,
  proxyAnswer,
  SILENT,
} from './objects.ts';
import { makeCertificate } from './root-certificate.ts';

const NOW = Date.now();
const ROOT = makeCertificate(3650);
const CRDS = [
  'authorizationpolicies.security.istio.io',
  'peerauthentications.security.istio.io',
  'serviceentries.networking.istio.io',
  'workloadentries.networking.istio.io',
];

function root(namespace: string, pem = ROOT) {
  return configMap(namespace, 'istio-ca-root-cert', { 'root-cert.pem': pem });
}

function lease(renewedMsAgo: number) {
  const renewTime = new Date(NOW - renewedMsAgo).toISOString();
  return {
    metadata: meta('ambit-controlplane'),
    spec: { holderIdentity: 'cp-1', leaseDurationSeconds: 15, renewTime },
  };
}

function facts(wish: Partial<MeshFacts> = {}): MeshFacts {
  return {
    now: NOW,
    cliVersion: '0.1.0',
    meshNamespace: 'ambit-system',
    nodes: [node('worker1')],
    controlPlane: deployment(),
    agentSet: daemonSet('ambit-cni'),
    proxySet: daemonSet('ambit-ztunnel'),
    pods: [
      part('controlplane', 'cp-1'),
      part('controlplane', 'cp-2'),
      part('cni', 'cni-a'),
      part('ztunnel', 'ztunnel-a'),
    ],
    events: [],
    crds: CRDS,
    lease: lease(2000),
    controlPlanes: new Map([['cp-1', { kind: 'answered', value: 'ok' }]]),
    agents: new Map([['worker1', agentAnswer([])]]),
    proxies: new Map([['worker1', proxyAnswer({ xds: { connected: true, ready: true } })]]),
    roots: [root('ambit-system'), root('shop')],
    namespaces: ['ambit-system', 'shop'],
    ...wish,
  };
}

function findings(code: string, wish: Partial<MeshFacts>): string[] {
  return brief(find(MESH_CHECKS, `AMBIT_CHECK_${code}`, facts(wish)));
}

test('a mesh that is as it should be has no findings', () => {
  for (const check of MESH_CHECKS) assert.deepEqual(check.find(facts()), [], check.code);
});

test('each part that is not installed is named', () => {
  const nothing = { controlPlane: undefined, agentSet: undefined, proxySet: undefined };
  assert.deepEqual(findings('INSTALLED', nothing), [
    'error deployment/ambit-system/ambit-controlplane: is not there',
    'error daemonset/ambit-system/ambit-cni: is not there',
    'error daemonset/ambit-system/ambit-ztunnel: is not there',
  ]);
});

test('a resource definition that is missing is named', () => {
  assert.deepEqual(findings('CRDS', { crds: CRDS.slice(1) }), [
    'error customresourcedefinition/authorizationpolicies.security.istio.io: is not there',
  ]);
});

test('parts that lag one minor version behind the control plane are a warning, any others an error', () => {
  assert.deepEqual(findings('VERSIONS', { controlPlane: deployment('0.2.0'), pods: [] }), [
    'warning ambit-cni: is 0.1.0, the control plane 0.2.0',
    'warning ambit-ztunnel: is 0.1.0, the control plane 0.2.0',
  ]);
  assert.deepEqual(findings('VERSIONS', { agentSet: daemonSet('ambit-cni', '0.2.0') }), [
    'error ambit-cni: is 0.2.0, the control plane 0.1.0',
  ]);
  assert.deepEqual(findings('VERSIONS', { proxySet: daemonSet('ambit-ztunnel', 'dev') }), [
    'error ambit-ztunnel: is dev, the control plane 0.1.0',
  ]);
});

test('a pod that still runs an older version is a warning', () => {
  const pods = [part('ztunnel', 'ztunnel-a', { version: '0.0.9' })];
  assert.deepEqual(findings('VERSIONS', { pods }), ['warning pod/ambit-system/ztunnel-a: still runs 0.0.9']);
});

test('this command may be a minor version apart from the mesh, with a warning', () => {
  assert.deepEqual(findings('CLIENT_VERSION', { cliVersion: '0.2.0' }), [
    'warning this is 0.2.0, the control plane 0.1.0',
  ]);
  assert.deepEqual(findings('CLIENT_VERSION', { cliVersion: '0.3.0' }), [
    'error this is 0.3.0, the control plane 0.1.0',
  ]);
});

test('replicas of the control plane that are not ready are told with their trouble', () => {
  const sick = part('controlplane', 'cp-2', { ready: false });
  const waiting = { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } };
  const container = {
    name: 'controlplane',
    image: '',
    imageID: '',
    ready: false,
    restartCount: 0,
    state: waiting,
  };
  const pods = [{ ...sick, status: { ...sick.status, containerStatuses: [container] } }];
  const trouble =
    'error pod/ambit-system/cp-2: container controlplane waits: ImagePullBackOff: no such image';
  assert.deepEqual(findings('CONTROL_PLANE', { controlPlane: deployment('0.1.0', 2, 1), pods }), [
    'warning 1 of 2 replicas are ready',
    trouble,
  ]);
  assert.deepEqual(findings('CONTROL_PLANE', { controlPlane: deployment('0.1.0', 2, 0), pods }), [
    'error 0 of 2 replicas are ready',
    trouble,
  ]);
});

test('a replica that has not read the cluster, and a lease that nobody renews, are told', () => {
  assert.deepEqual(findings('CONTROL_PLANE_SYNCED', { controlPlanes: new Map([['cp-1', SILENT]]) }), [
    'error pod/ambit-system/cp-1: no answer within 30 s',
  ]);
  assert.deepEqual(findings('CONTROL_PLANE_SYNCED', { lease: undefined }), [
    'warning lease/ambit-system/ambit-controlplane: nobody holds it',
  ]);
  assert.deepEqual(findings('CONTROL_PLANE_SYNCED', { lease: lease(60_000) }), [
    'warning lease/ambit-system/ambit-controlplane: cp-1 has not renewed it for 60 s',
  ]);
});

test('a root certificate that expires soon is a warning, one that has expired an error', () => {
  assert.deepEqual(findings('ROOT_VALID', { roots: [] }), [
    'error ambit-system has no ConfigMap istio-ca-root-cert',
  ]);
  assert.deepEqual(findings('ROOT_VALID', { roots: [root('ambit-system', 'nothing')] }), [
    'error istio-ca-root-cert holds no certificate',
  ]);
  const soon = makeCertificate(30);
  assert.match(
    findings('ROOT_VALID', { roots: [root('ambit-system', soon)] })[0]!,
    /^warning expires in (29|30) days$/,
  );
  const later = NOW + 31 * 86_400_000;
  assert.deepEqual(findings('ROOT_VALID', { roots: [root('ambit-system', soon)], now: later }), [
    'error has expired: no proxy trusts another',
  ]);
  assert.deepEqual(findings('ROOT_VALID', { roots: [root('ambit-system', soon + ROOT)] }), []);
});

test('a namespace without the root, or with another one, is named', () => {
  const roots = [root('ambit-system'), root('shop', makeCertificate(100))];
  assert.deepEqual(findings('ROOT_PUBLISHED', { roots, namespaces: ['ambit-system', 'shop', 'new'] }), [
    'warning namespace/shop: has another root certificate',
    'warning namespace/new: has no ConfigMap istio-ca-root-cert',
  ]);
});

test('where the mesh has no root itself, the namespaces without any are named', () => {
  assert.deepEqual(findings('ROOT_PUBLISHED', { roots: [root('shop')] }), [
    'warning namespace/ambit-system: has no ConfigMap istio-ca-root-cert',
  ]);
});

test('a node without a ready agent or proxy, or with one that is silent, is named', () => {
  const nodes = [node('worker1'), node('worker2'), node('windows', { system: 'windows' })];
  assert.deepEqual(findings('AGENTS', { nodes }), ['error node/worker2: has none']);
  assert.deepEqual(findings('PROXIES', { nodes }), ['error node/worker2: has none']);
  assert.deepEqual(findings('AGENTS', { agents: new Map([['worker1', SILENT]]) }), [
    'error node/worker1: does not answer: no answer within 30 s',
  ]);
  assert.deepEqual(findings('PROXIES', { pods: [part('ztunnel', 'ztunnel-a', { ready: false })] }), [
    'error node/worker1: is Running',
  ]);
});

test('the last warning about a pod that is not ready is told', () => {
  const event = (name: string, at: string, message: string) => ({
    type: 'Warning',
    reason: 'FailedMount',
    message,
    lastTimestamp: at,
    involvedObject: { kind: 'Pod', name },
  });
  const events = [
    event('cni-a', '2026-01-01T00:00:02Z', 'the later\n one'),
    event('cni-a', '2026-01-01T00:00:01Z', 'the earlier one'),
    event('other', '2026-01-01T00:00:03Z', 'of another pod'),
  ];
  const pods = [part('cni', 'cni-a', { ready: false })];
  assert.deepEqual(findings('AGENTS', { pods, events }), ['error node/worker1: FailedMount: the later one']);
});

test('a plugin that somebody has changed within the hour is a warning', () => {
  const changed = (minutesAgo: number) => {
    const repairedAt = new Date(NOW - minutesAgo * 60_000).toISOString();
    return { agents: new Map([['worker1', agentAnswer([], { plugin: { ok: true, repairedAt } })]]) };
  };
  assert.match(
    findings('CNI_PLUGIN', changed(5))[0] ?? '',
    /^warning node\/worker1: was changed by somebody else/,
  );
  assert.deepEqual(findings('CNI_PLUGIN', changed(90)), []);
});

test('a kernel or a plugin that the agent complains of is told in its words', () => {
  const agents = new Map([
    [
      'worker1',
      agentAnswer([], {
        kernel: { ok: false, detail: 'iptables: no such table nat' },
        plugin: { ok: false, detail: '10-bridge.conflist has no entry ambit-cni' },
      }),
    ],
  ]);
  assert.deepEqual(findings('KERNEL', { agents }), ['error node/worker1: iptables: no such table nat']);
  assert.deepEqual(findings('CNI_PLUGIN', { agents }), [
    'error node/worker1: 10-bridge.conflist has no entry ambit-cni',
  ]);
});

test('a proxy that has lost its agent or its control plane is told', () => {
  const agents = new Map([['worker1', agentAnswer([], { ztunnelConnections: 0 })]]);
  assert.deepEqual(findings('PROXY_ATTACHED', { agents }), ['error node/worker1: no proxy is connected']);
  const xds = (wish: NonNullable<Parameters<typeof proxyAnswer>[0]>['xds']) => ({
    proxies: new Map([['worker1', proxyAnswer({ ...(wish && { xds: wish }) })]]),
  });
  assert.deepEqual(findings('PROXY_SYNCED', xds({ connected: false, ready: true, lastError: 'refused' })), [
    'error node/worker1: is not connected: refused',
  ]);
  assert.deepEqual(findings('PROXY_SYNCED', xds({ connected: true, ready: false })), [
    'error node/worker1: has not yet got everything',
  ]);
  assert.deepEqual(findings('PROXY_SYNCED', xds(undefined)), []);
});
