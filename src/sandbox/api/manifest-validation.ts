/** What a manifest must look like before the sandbox takes it: the fields that its kubelet and controllers read. */

import { isObjectKind, KINDS } from '../../objects/kinds.ts';
import {
  anything,
  boolean,
  core,
  type Fault,
  integer,
  isRecord,
  listOf,
  mapOf,
  nonEmptyString,
  oneOf,
  port,
  portOrName,
  type Schema,
  string,
  text,
} from '../../objects/schema.ts';
import { validateManifest } from '../../objects/validation.ts';
import { groupOf, selects } from './kube-object.ts';

const LABEL = text(
  'a lower-case DNS label of at most 63 characters',
  /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
);
const OBJECT_NAME = text(
  'a lower-case DNS name of at most 253 characters',
  /^(?=.{1,253}$)[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$/,
);
const STRINGS = listOf(string);
const SECONDS = integer(0, 1_000_000);

const PROBE = core({
  httpGet: core({ path: string, port: portOrName, host: string, scheme: oneOf('HTTP', 'HTTPS') }, 'port'),
  tcpSocket: core({ port: portOrName, host: string }, 'port'),
  exec: core({ command: STRINGS }, 'command'),
  initialDelaySeconds: SECONDS,
  periodSeconds: SECONDS,
  timeoutSeconds: SECONDS,
  failureThreshold: SECONDS,
  successThreshold: SECONDS,
});

const CONTAINER = core(
  {
    name: LABEL,
    image: nonEmptyString,
    command: STRINGS,
    args: STRINGS,
    workingDir: string,
    env: listOf(core({ name: nonEmptyString, value: string, valueFrom: anything }, 'name')),
    ports: listOf(core({ name: string, containerPort: port, protocol: string }, 'containerPort')),
    readinessProbe: PROBE,
    livenessProbe: PROBE,
    startupProbe: PROBE,
  },
  'name',
  'image',
);

const POD_SPEC = core(
  {
    containers: listOf(CONTAINER),
    nodeName: nonEmptyString,
    nodeSelector: mapOf(string),
    serviceAccountName: OBJECT_NAME,
    hostNetwork: boolean,
    hostname: LABEL,
    subdomain: LABEL,
    restartPolicy: oneOf('Always', 'OnFailure', 'Never'),
    terminationGracePeriodSeconds: SECONDS,
  },
  'containers',
);

const REPLICATED = core(
  {
    replicas: integer(0, 1000),
    selector: core({ matchLabels: mapOf(string) }, 'matchLabels'),
    template: core(
      { metadata: core({ labels: mapOf(string), annotations: mapOf(string) }), spec: POD_SPEC },
      'spec',
    ),
    serviceName: string,
  },
  'selector',
  'template',
);

const ENVELOPE: Schema = core(
  {
    metadata: core(
      { name: OBJECT_NAME, namespace: LABEL, labels: mapOf(string), annotations: mapOf(string) },
      'name',
    ),
  },
  'metadata',
);

const SCHEMAS: Readonly<Record<string, Schema>> = {
  'Pod.': core({ spec: POD_SPEC }, 'spec'),
  'Service.': core({ spec: core({ ports: listOf(core({ port }, 'port')) }) }, 'spec'),
  'Deployment.apps': core({ spec: REPLICATED }, 'spec'),
  'ReplicaSet.apps': core({ spec: REPLICATED }, 'spec'),
  'StatefulSet.apps': core({ spec: REPLICATED }, 'spec'),
};

/** Kinds that run something in Kubernetes and nothing here. */
const NOT_RUN: ReadonlySet<string> = new Set(['DaemonSet.apps', 'Job.batch', 'CronJob.batch']);

export interface ManifestHeader {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Who a manifest says it is; undefined when it does not. */
export function headerOf(value: unknown): ManifestHeader | undefined {
  if (!isRecord(value) || typeof value.kind !== 'string' || typeof value.apiVersion !== 'string')
    return undefined;
  return { kind: value.kind, apiVersion: value.apiVersion };
}

/** Everything wrong with a manifest; warnings leave it usable. */
export function faultsOf(value: unknown): readonly Fault[] {
  const header = headerOf(value);
  if (header === undefined) {
    return [{ path: [], message: 'must be an object with apiVersion, kind and metadata', severity: 'error' }];
  }
  const faults: Fault[] = [];
  const report = (fault: Fault) => faults.push(fault);
  const group = groupOf(header.apiVersion);
  ENVELOPE.check(value, [], report);
  SCHEMAS[`${header.kind}.${group}`]?.check(value, [], report);
  if (isObjectKind(header.kind) && KINDS[header.kind].group === group) {
    for (const fault of validateManifest(header.kind, value)) {
      const path = fault.path.join('.');
      if (!faults.some((known) => known.path.join('.') === path)) report(fault);
    }
  }
  if (faults.length === 0) checkMeaning(value as PartialManifest, `${header.kind}.${group}`, report);
  return faults;
}

interface PartialPodSpec {
  readonly containers?: readonly { readonly name: string }[];
  readonly initContainers?: readonly unknown[];
  readonly volumes?: readonly unknown[];
}

interface PartialManifest {
  readonly spec?: PartialPodSpec & {
    readonly selector?: { readonly matchLabels?: Record<string, string> };
    readonly template?: {
      readonly metadata?: { readonly labels?: Record<string, string> };
      readonly spec: PartialPodSpec;
    };
  };
}

/** What the shape of single fields cannot tell. */
function checkMeaning({ spec }: PartialManifest, kind: string, report: (fault: Fault) => void): void {
  if (NOT_RUN.has(kind)) {
    const message = 'is stored, but the sandbox runs nothing for it: use a Deployment, StatefulSet or Pod';
    report({ path: ['kind'], message, severity: 'warning' });
  }
  if (kind === 'Pod.') checkPodSpec(spec, ['spec'], report);
  if (!kind.endsWith('.apps') || NOT_RUN.has(kind)) return;
  checkPodSpec(spec?.template?.spec, ['spec', 'template', 'spec'], report);
  if (!selects(spec?.selector?.matchLabels, spec?.template?.metadata?.labels)) {
    const path = ['spec', 'template', 'metadata', 'labels'];
    report({ path, message: 'must hold the labels of spec.selector.matchLabels', severity: 'error' });
  }
}

/** Parts of a pod that a sandbox would leave out; without the first ones it would not be the same pod. */
const LEFT_OUT: readonly {
  readonly field: 'initContainers' | 'volumes';
  readonly severity: Fault['severity'];
}[] = [
  { field: 'initContainers', severity: 'error' },
  { field: 'volumes', severity: 'warning' },
];

function checkPodSpec(
  spec: PartialPodSpec | undefined,
  path: readonly string[],
  report: (fault: Fault) => void,
): void {
  checkContainers(spec?.containers, path, report);
  for (const { field, severity } of LEFT_OUT) {
    const message =
      severity === 'error' ? 'is not supported in a sandbox' : 'is ignored: a sandbox mounts nothing';
    if ((spec?.[field] ?? []).length > 0) report({ path: [...path, field], message, severity });
  }
}

function checkContainers(
  containers: readonly { readonly name: string }[] | undefined,
  path: readonly string[],
  report: (fault: Fault) => void,
): void {
  const names = containers?.map((container) => container.name) ?? [];
  const at = [...path, 'containers'];
  if (names.length === 0)
    report({ path: at, message: 'must have at least one container', severity: 'error' });
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    report({ path: at, message: `has two containers named ${twice}`, severity: 'error' });
}
