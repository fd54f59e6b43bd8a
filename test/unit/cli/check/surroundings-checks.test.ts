/** The checks of what else is in the cluster. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  SURROUNDINGS_CHECKS,
  type SurroundingsFacts,
} from '../../../../src/cli/check/surroundings-checks.ts';
import type { NetworkPolicy } from '../../../../src/cli/cluster/kube-types.ts';
import { brief, configMap, daemonSet, find, namespace, networkPolicy, pod } from './objects.ts';

const GATEWAYS = 'gateways.gateway.networking.k8s.io';

function facts(wish: Partial<SurroundingsFacts> = {}): SurroundingsFacts {
  return {
    namespaces: [],
    pods: [],
    daemonSets: [],
    ciliumConfig: undefined,
    crds: [GATEWAYS],
    networkPolicies: [],
    isWanted: () => true,
    ...wish,
  };
}

function findings(code: string, wish: Partial<SurroundingsFacts>): string[] {
  return brief(find(SURROUNDINGS_CHECKS, `AMBIT_CHECK_${code}`, facts(wish)));
}

test('surroundings that leave the mesh alone have no findings', () => {
  const daemonSets = [daemonSet('kube-proxy', '', 'kube-system'), daemonSet('ambit-ztunnel')];
  for (const check of SURROUNDINGS_CHECKS)
    assert.deepEqual(check.find(facts({ daemonSets })), [], check.code);
});

test('the agents of other meshes are found wherever they run', () => {
  const daemonSets = [
    daemonSet('istio-cni-node', '', 'istio-system'),
    daemonSet('linkerd-cni', '', 'linkerd'),
  ];
  assert.deepEqual(findings('OTHER_MESH', { daemonSets }), [
    'error daemonset/istio-system/istio-cni-node: the CNI agent of Istio is installed',
    'error daemonset/linkerd/linkerd-cni: the CNI plugin of Linkerd is installed',
  ]);
});

test('each setting of Cilium that stands in the way is an error with its own remedy', () => {
  const trap = (data: Record<string, string>) =>
    find(
      SURROUNDINGS_CHECKS,
      'AMBIT_CHECK_CILIUM',
      facts({ ciliumConfig: configMap('kube-system', 'cilium-config', data) }),
    ).map(({ remedy }) => remedy);
  assert.deepEqual(trap({ 'cni-exclusive': 'true' }), [
    'set cni.exclusive=false in the Helm values of Cilium',
  ]);
  assert.deepEqual(trap({ 'kube-proxy-replacement': 'true' }), [
    'set socketLB.hostNamespaceOnly=true in the Helm values of Cilium',
  ]);
  assert.deepEqual(trap({ 'enable-bpf-masquerade': 'true' }), [
    'set bpf.hostLegacyRouting=true or bpf.masquerade=false in the Helm values of Cilium',
  ]);
  const tamed = {
    'cni-exclusive': 'false',
    'kube-proxy-replacement': 'true',
    'bpf-lb-sock-hostns-only': 'true',
    'enable-bpf-masquerade': 'true',
    'enable-host-legacy-routing': 'true',
  };
  assert.deepEqual(trap(tamed), []);
});

test('a namespace that asks for sidecars and for ambient is a warning', () => {
  const namespaces = [
    namespace('both', { 'istio.io/dataplane-mode': 'ambient', 'istio-injection': 'enabled' }),
    namespace('revision', { 'istio.io/dataplane-mode': 'ambient', 'istio.io/rev': 'canary' }),
    namespace('sidecars', { 'istio-injection': 'enabled' }),
    namespace('ambient', { 'istio.io/dataplane-mode': 'ambient' }),
  ];
  assert.deepEqual(findings('SIDECAR_INJECTION', { namespaces }), [
    'warning namespace/both: has labels for both',
    'warning namespace/revision: has labels for both',
  ]);
});

test('a labelled pod on the host network is a warning', () => {
  const labels = { 'istio.io/dataplane-mode': 'ambient' };
  const pods = [
    pod('a', { labels, hostNetwork: true }),
    pod('b', { labels }),
    pod('c', { hostNetwork: true }),
  ];
  assert.deepEqual(findings('HOST_NETWORK', { pods }), [
    'warning pod/shop/a: is labelled, and on the host network',
  ]);
});

test('the Gateway API that is not installed is a warning', () => {
  assert.deepEqual(findings('GATEWAY_API', { crds: [] }), [`warning ${GATEWAYS} is not there`]);
});

function blocked(...policies: readonly NetworkPolicy[]): string[] {
  const pods = [pod('orders', { labels: { app: 'orders' } })];
  return findings('NETWORK_POLICY', { pods, networkPolicies: policies });
}

test('a policy that opens only the port of the application keeps peers of the mesh out', () => {
  const policy = networkPolicy('web', { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] });
  assert.deepEqual(blocked(policy), ['error pod/shop/orders: ingress on 15008 is not allowed by shop/web']);
});

test('policies add up: one that allows 15008 is enough', () => {
  const web = networkPolicy('web', { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] });
  for (const ports of [[{ port: 15008 }], [{ port: 15000, endPort: 15010 }], []]) {
    assert.deepEqual(blocked(web, networkPolicy('mesh', { podSelector: {}, ingress: [{ ports }] })), []);
  }
  const udp = networkPolicy('udp', {
    podSelector: {},
    ingress: [{ ports: [{ port: 15008, protocol: 'UDP' }] }],
  });
  assert.equal(blocked(web, udp).length, 1);
});

test('a pod that nobody may reach at all is as its owner wants it', () => {
  assert.deepEqual(blocked(networkPolicy('deny', { podSelector: {}, policyTypes: ['Ingress'] })), []);
});

test('policies of other pods do not matter, and selectors are honoured', () => {
  const spec = { ingress: [{ ports: [{ port: 'http' }] }] };
  const other = { matchLabels: { app: 'other' } };
  const matching = { matchExpressions: [{ key: 'app', operator: 'In', values: ['orders'] } as const] };
  assert.deepEqual(blocked(networkPolicy('other', { ...spec, podSelector: other })), []);
  assert.equal(blocked(networkPolicy('orders', { ...spec, podSelector: matching })).length, 1);
});

test('what a pod may call is a warning, and names alone are none', () => {
  const egress = networkPolicy('out', {
    podSelector: {},
    policyTypes: ['Egress'],
    egress: [{ ports: [{ port: 443 }] }],
  });
  assert.deepEqual(blocked(egress), ['warning pod/shop/orders: egress on 15008 is not allowed by shop/out']);
  const dns = networkPolicy('dns', {
    podSelector: {},
    policyTypes: ['Egress'],
    egress: [{ ports: [{ port: 53 }] }],
  });
  assert.deepEqual(blocked(dns), []);
});

test('a pod that is not in the mesh needs no 15008', () => {
  const policy = networkPolicy('web', { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] });
  assert.deepEqual(
    findings('NETWORK_POLICY', { pods: [pod('orders')], networkPolicies: [policy], isWanted: () => false }),
    [],
  );
});
