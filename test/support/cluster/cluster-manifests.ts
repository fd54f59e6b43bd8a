/** Objects for cluster tests: pods that serve and call with the programs of this checkout. */

import { join } from 'node:path';
import { HTTP_PORT, type Manifest, TCP_PORT } from '../mesh-manifests.ts';

/** Nodes share the file system of the machine, so a pod can have the checkout, under the path that it has here. */
const CHECKOUT = join(import.meta.dirname, '..', '..', '..');

type Labels = Readonly<Record<string, string>>;

/** Runs a program of the checkout, given by its path there. */
export function checkoutCommand(path: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', join(CHECKOUT, path), ...args];
}

/** An echo server on {@link HTTP_PORT} and {@link TCP_PORT} that is ready when it answers. */
export function echoContainer(overrides: Manifest = {}): Manifest {
  const ports = ['--http', String(HTTP_PORT), '--tcp', String(TCP_PORT)];
  return toolsContainer({
    command: checkoutCommand('src/main.ts', 'echo', 'server', ...ports),
    readinessProbe: { httpGet: { path: '/', port: HTTP_PORT }, periodSeconds: 1 },
    ...overrides,
  });
}

/** Bash, curl, openssl, iptables, Node and the checkout. */
export function toolsContainer(overrides: Manifest = {}): Manifest {
  return {
    name: 'app',
    image: 'testbed/tools:1',
    command: ['sleep', 'infinity'],
    env: [fieldVariable('POD_NAME', 'metadata.name'), fieldVariable('NODE_NAME', 'spec.nodeName')],
    volumeMounts: [{ name: 'checkout', mountPath: CHECKOUT, readOnly: true }],
    resources: { requests: { cpu: '5m', memory: '16Mi' } },
    ...overrides,
  };
}

function fieldVariable(name: string, fieldPath: string): Manifest {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

/** What every pod here has; containers come first in what is overridden. */
export function podSpec(containers: readonly Manifest[], overrides: Manifest = {}): Manifest {
  return {
    containers,
    terminationGracePeriodSeconds: 1,
    volumes: [{ name: 'checkout', hostPath: { path: CHECKOUT, type: 'Directory' } }],
    ...overrides,
  };
}

export interface ClusterPodPlan {
  readonly name: string;
  readonly namespace: string;
  readonly node?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  readonly container?: Manifest;
  readonly spec?: Manifest;
}

/** One pod under the label app=NAME: an echo server unless a container is given. */
export function clusterPod(plan: ClusterPodPlan): Manifest {
  const { name, namespace, node, labels, annotations, container = echoContainer(), spec } = plan;
  const place = node === undefined ? {} : { nodeName: node };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: name, ...labels }, annotations: annotations ?? {} },
    spec: podSpec([container], { ...place, ...spec }),
  };
}

export interface WorkloadPlan {
  readonly kind: 'Deployment' | 'StatefulSet' | 'DaemonSet';
  readonly name: string;
  readonly namespace: string;
  /** None for a DaemonSet. */
  readonly replicas?: number;
  readonly container?: Manifest;
  /** Fields of the pods' spec. */
  readonly podSpec?: Manifest;
  /** Fields of the workload's own spec. */
  readonly spec?: Manifest;
}

/** Echo servers, spread over the nodes. */
export function workloadManifest(plan: WorkloadPlan): Manifest {
  const { kind, name, namespace, replicas, container = echoContainer() } = plan;
  const labels = { app: name };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: labels },
  };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      ...(kind === 'StatefulSet' ? { serviceName: name } : {}),
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: podSpec([container], { topologySpreadConstraints: [spread], ...plan.podSpec }),
      },
      ...plan.spec,
    },
  };
}
