/** Builders of the objects and answers that checks look at. */

import type { Check, Finding } from '../../../../src/cli/check/check.ts';
import type { AgentReport, ReportedPod } from '../../../../src/cli/cluster/agent-report.ts';
import type {
  ConfigMap,
  DaemonSet,
  Deployment,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
} from '../../../../src/cli/cluster/kube-types.ts';
import type { Answer } from '../../../../src/cli/cluster/node-answers.ts';
import type { ConfigDump } from '../../../../src/cli/config-dump.ts';
import type { ObjectMeta } from '../../../../src/objects/core-types.ts';

type Labels = Readonly<Record<string, string>>;

export function meta(name: string, extra: Partial<ObjectMeta> = {}): ObjectMeta {
  return { name, namespace: '', uid: `uid-${name}`, generation: 1, ...extra };
}

export function namespace(name: string, labels: Labels = {}): Namespace {
  return { kind: 'Namespace', metadata: meta(name, { labels }) };
}

interface NodeWish {
  readonly kernel?: string;
  readonly architecture?: string;
  readonly system?: string;
  readonly kubelet?: string;
  readonly ready?: 'True' | 'False';
}

export function node(name: string, wish: NodeWish = {}): Node {
  const {
    kernel = '6.1.0',
    architecture = 'amd64',
    system = 'linux',
    kubelet = 'v1.36.0',
    ready = 'True',
  } = wish;
  return {
    kind: 'Node',
    metadata: meta(name),
    status: {
      nodeInfo: {
        architecture,
        operatingSystem: system,
        kernelVersion: kernel,
        kubeletVersion: kubelet,
        bootID: '',
        containerRuntimeVersion: 'containerd://2.0.0',
        kubeProxyVersion: '',
        machineID: '',
        osImage: '',
        systemUUID: '',
      },
      conditions: [{ type: 'Ready', status: ready, reason: 'Kubelet', message: 'kubelet says so' }],
    },
  };
}

interface PodWish {
  readonly namespace?: string;
  readonly node?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  readonly ip?: string;
  readonly hostNetwork?: boolean;
  readonly ready?: boolean;
  readonly phase?: string;
}

export function pod(name: string, wish: PodWish = {}): Pod {
  const { namespace: inNamespace = 'shop', node: nodeName = 'worker1', labels = {}, annotations = {} } = wish;
  const { ip = '10.244.1.5', hostNetwork = false, ready = true, phase = 'Running' } = wish;
  return {
    kind: 'Pod',
    metadata: meta(name, { namespace: inNamespace, labels, annotations }),
    spec: { nodeName, hostNetwork, containers: [] },
    status: { phase, podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

const PART = { 'app.kubernetes.io/part-of': 'ambit' };

/** A pod of one of the mesh's own parts. */
export function part(
  component: string,
  name: string,
  wish: PodWish & { readonly version?: string } = {},
): Pod {
  const { version = '0.1.0', ...rest } = wish;
  const labels = {
    ...PART,
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/version': version,
    ...wish.labels,
  };
  return pod(name, { namespace: 'ambit-system', ...rest, labels });
}

export function deployment(version = '0.1.0', replicas = 2, ready = replicas): Deployment {
  const labels = { ...PART, 'app.kubernetes.io/version': version };
  return {
    metadata: meta('ambit-controlplane', { namespace: 'ambit-system', labels }),
    spec: { replicas, template: { metadata: { labels } } },
    status: {
      observedGeneration: 1,
      replicas,
      updatedReplicas: replicas,
      readyReplicas: ready,
      availableReplicas: ready,
    },
  };
}

export function daemonSet(name: string, version = '0.1.0', inNamespace = 'ambit-system'): DaemonSet {
  const labels = { ...PART, 'app.kubernetes.io/version': version };
  return {
    metadata: meta(name, { namespace: inNamespace, labels }),
    spec: { template: { metadata: { labels } } },
    status: { observedGeneration: 1, desiredNumberScheduled: 1, updatedNumberScheduled: 1, numberReady: 1 },
  };
}

export function configMap(inNamespace: string, name: string, data: Labels): ConfigMap {
  return { metadata: meta(name, { namespace: inNamespace }), data };
}

export function networkPolicy(name: string, spec: NonNullable<NetworkPolicy['spec']>): NetworkPolicy {
  return { metadata: meta(name, { namespace: 'shop' }), spec };
}

export function reported(name: string, wish: Partial<ReportedPod> = {}): ReportedPod {
  return {
    namespace: 'shop',
    name,
    uid: `uid-${name}`,
    wanted: true,
    reason: 'selected',
    state: 'enrolled',
    ...wish,
  };
}

export function agentAnswer(
  pods: readonly ReportedPod[],
  wish: Partial<AgentReport> = {},
): Answer<AgentReport> {
  return { kind: 'answered', value: { node: 'worker1', ready: true, ztunnelConnections: 1, pods, ...wish } };
}

export function proxyAnswer(wish: Partial<ConfigDump> = {}): Answer<ConfigDump> {
  const empty = { workloads: [], services: [], policies: [], certificates: [], workloadState: {} };
  return { kind: 'answered', value: { ...empty, ...wish } };
}

export const SILENT = { kind: 'silent', reason: 'no answer within 30 s' } as const;

/** The findings of the check of this code. */
export function find<Facts>(checks: readonly Check<Facts>[], code: string, facts: Facts): readonly Finding[] {
  const check = checks.find((one) => one.code === code);
  if (check === undefined) throw new Error(`there is no check ${code}`);
  return check.find(facts);
}

/** `severity object: cause` of each, for short assertions. */
export function brief(findings: readonly Finding[]): string[] {
  return findings.map(
    ({ severity, object, cause }) => `${severity} ${object === undefined ? '' : `${object}: `}${cause}`,
  );
}
