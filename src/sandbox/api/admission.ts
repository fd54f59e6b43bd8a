/** What an API server fills in when an object is created: defaults, addresses of services. */

import { familyOf, type IpFamily, parseIp } from '../../base/ip.ts';
import { sandboxErrors } from '../errors.ts';
import type { ServiceAddressPool } from '../network/address-plan.ts';
import type { PodSpec, StoredService } from './kube-object.ts';
import type { ObjectDraft } from './object-store.ts';

export interface AdmissionContext {
  /** Of the cluster, preferred one first. */
  readonly families: readonly IpFamily[];
  readonly serviceAddresses: ServiceAddressPool;
}

type ServiceSpec = NonNullable<StoredService['spec']>;

/** The object as it is stored. @throws AMBIT_SANDBOX_MANIFEST_INVALID, AMBIT_SANDBOX_FULL */
export function admit(
  draft: ObjectDraft,
  before: ObjectDraft | undefined,
  context: AdmissionContext,
): ObjectDraft {
  if (draft.apiVersion === 'v1') {
    if (draft.kind === 'Namespace') return admitNamespace(draft);
    if (draft.kind === 'Pod') return admitPod(draft);
    if (draft.kind === 'Service') return admitService(draft, before, context);
  }
  return draft;
}

function admitNamespace(draft: ObjectDraft): ObjectDraft {
  const labels = { 'kubernetes.io/metadata.name': draft.metadata.name, ...draft.metadata.labels };
  return { ...draft, metadata: { ...draft.metadata, labels }, status: { phase: 'Active' } };
}

/** The defaults of a pod that somebody may look at; what is only for Kubernetes' own parts is left out. */
export function admitPod(draft: ObjectDraft): ObjectDraft {
  const spec = draft.spec as PodSpec;
  const defaults = {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    serviceAccountName: 'default',
    schedulerName: 'default-scheduler',
  };
  return { ...draft, spec: { ...defaults, ...spec }, status: draft.status ?? { phase: 'Pending' } };
}

function admitService(
  draft: ObjectDraft,
  before: ObjectDraft | undefined,
  context: AdmissionContext,
): ObjectDraft {
  const spec = draft.spec as ServiceSpec;
  const previous = before?.spec as ServiceSpec | undefined;
  const common: ServiceSpec = {
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
    ...spec,
    ports: (spec.ports ?? []).map((port) => ({ protocol: 'TCP', targetPort: port.port, ...port })),
  };
  if (common.type === 'ExternalName') return { ...draft, spec: common, status: { loadBalancer: {} } };
  const families = serviceFamilies(draft, spec, previous, context);
  const clusterIPs = serviceAddresses(draft, spec, previous, families, context);
  const ipFamilyPolicy = spec.ipFamilyPolicy ?? previous?.ipFamilyPolicy ?? 'SingleStack';
  const ipFamilies = families.map((family) => `IPv${family}`);
  const addresses = { clusterIP: clusterIPs[0] ?? 'None', clusterIPs, ipFamilies, ipFamilyPolicy };
  return { ...draft, spec: { ...common, ...addresses }, status: draft.status ?? { loadBalancer: {} } };
}

/** As Kubernetes decides it: one family unless two are asked for, the cluster's first one unless one is named. */
function serviceFamilies(
  draft: ObjectDraft,
  spec: ServiceSpec,
  previous: ServiceSpec | undefined,
  { families }: AdmissionContext,
): readonly IpFamily[] {
  const asked = (spec.ipFamilies ?? previous?.ipFamilies ?? []).map(
    (text): IpFamily => (text === 'IPv6' ? 6 : 4),
  );
  const policy = spec.ipFamilyPolicy ?? previous?.ipFamilyPolicy ?? 'SingleStack';
  const missing = asked.find((family) => !families.includes(family));
  if (missing !== undefined || (policy === 'RequireDualStack' && families.length < 2)) {
    throw invalid(draft, `this sandbox has only IPv${families.join(' and IPv')}`);
  }
  if (policy === 'SingleStack') return [asked[0] ?? families[0]!];
  return [...new Set([...asked, ...families])];
}

function serviceAddresses(
  draft: ObjectDraft,
  spec: ServiceSpec,
  previous: ServiceSpec | undefined,
  families: readonly IpFamily[],
  { serviceAddresses: pool }: AdmissionContext,
): readonly string[] & string[] {
  const written = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  if (written[0] === 'None') return ['None'];
  const kept = previous?.clusterIPs?.filter((ip) => ip !== 'None') ?? [];
  return families.map((family) => {
    const chosen = written.find((text) => familyOfText(text) === family);
    const own = kept.find((text) => familyOfText(text) === family);
    if (chosen === undefined) return own ?? pool.take(family);
    if (chosen !== own && !pool.claim(chosen)) throw invalid(draft, `clusterIP ${chosen} is in use`);
    return chosen;
  });
}

function familyOfText(text: string): IpFamily | undefined {
  const ip = parseIp(text);
  return ip === undefined ? undefined : familyOf(ip);
}

function invalid(draft: ObjectDraft, message: string) {
  const { namespace, name } = draft.metadata;
  return sandboxErrors.AMBIT_SANDBOX_MANIFEST_INVALID(`${draft.kind} ${namespace}/${name}: ${message}`);
}
