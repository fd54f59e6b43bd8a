/** What is kept of an object of each kind: the fields that the mesh reads, and nothing else. */

import type {
  Condition,
  EndpointSlice,
  Namespace,
  Node,
  ObjectMeta,
  Pod,
  Service,
} from '../objects/core-types.ts';
import type { KindMap, MeshObject, ObjectKind } from '../objects/kinds.ts';

/** An object as the API server sends it: the same types, with more in them, and less in the metadata. */
type Raw<K extends ObjectKind> = Omit<KindMap[K], 'kind' | 'metadata'> & { readonly metadata: RawMeta };
type RawMeta = Partial<Omit<ObjectMeta, 'name'>> & Pick<ObjectMeta, 'name'>;
type Container = NonNullable<Pod['spec']>['containers'][number];

/** Other annotations have no meaning in the mesh, and may be large. */
const OWN_ANNOTATION = /^([a-z0-9.-]+\.)?(istio|ambit)\.io\//;
/** Conditions of pods that matter. */
const READY = 'Ready';

/**
 * Kubernetes' own kinds are cut down field by field; whoever reads a further field adds it here. Of the mesh's own kinds
 * and of Gateways the whole specification is kept.
 */
export function project(kind: ObjectKind, raw: { readonly metadata: RawMeta }): MeshObject {
  const metadata = projectMeta(raw.metadata);
  switch (kind) {
    case 'Namespace':
      return { kind, metadata } satisfies Namespace;
    case 'Node':
      return projectNode(metadata, raw);
    case 'Pod':
      return projectPod(metadata, raw);
    case 'Service':
      return projectService(metadata, raw as Raw<'Service'>);
    case 'EndpointSlice':
      return projectEndpointSlice(metadata, raw as Raw<'EndpointSlice'>);
    default:
      return projectOwn(kind, metadata, raw as OwnRaw);
  }
}

function projectMeta(raw: RawMeta): ObjectMeta {
  const {
    name,
    namespace = '',
    uid = '',
    generation = 0,
    labels,
    creationTimestamp,
    deletionTimestamp,
  } = raw;
  const annotations = Object.entries(raw.annotations ?? {}).filter(([key]) => OWN_ANNOTATION.test(key));
  const owners = raw.ownerReferences?.map(({ apiVersion, kind, name: owner, uid: ownerUid, controller }) => ({
    apiVersion,
    kind,
    name: owner,
    uid: ownerUid,
    ...(controller === true && { controller }),
  }));
  return {
    name,
    namespace,
    uid,
    generation,
    ...(labels !== undefined && { labels }),
    ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }),
    ...(creationTimestamp !== undefined && { creationTimestamp }),
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    ...(owners !== undefined && { ownerReferences: owners }),
  };
}

function projectNode(metadata: ObjectMeta, raw: Partial<Raw<'Node'>>): Node {
  const { status } = raw;
  const addresses = status?.addresses?.map(({ type, address }) => ({ type, address }));
  return { kind: 'Node', metadata, ...(addresses !== undefined && { status: { addresses } }) };
}

function projectPod(metadata: ObjectMeta, raw: Partial<Raw<'Pod'>>): Pod {
  const { spec, status } = raw;
  return {
    kind: 'Pod',
    metadata,
    ...(spec != null && { spec: projectPodSpec(spec) }),
    ...(status != null && { status: projectPodStatus(status) }),
  };
}

function projectPodSpec(spec: NonNullable<Pod['spec']>): NonNullable<Pod['spec']> {
  const { nodeName, serviceAccountName, hostNetwork, dnsPolicy, dnsConfig, containers, initContainers } =
    spec;
  const sidecars = projectContainers((initContainers ?? []).filter((one) => one.restartPolicy === 'Always'));
  return {
    containers: projectContainers(containers ?? []),
    ...(nodeName !== undefined && { nodeName }),
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    ...(hostNetwork === true && { hostNetwork }),
    ...(dnsPolicy !== undefined && dnsPolicy !== 'ClusterFirst' && { dnsPolicy }),
    ...(dnsConfig?.searches !== undefined && { dnsConfig: { searches: dnsConfig.searches } }),
    ...(sidecars.length > 0 && { initContainers: sidecars }),
  };
}

/** Only their ports matter. */
function projectContainers(containers: readonly Container[]): Container[] {
  return containers
    .filter(({ ports }) => ports != null && ports.length > 0)
    .map(({ name, ports, restartPolicy }) => ({
      name,
      ports: ports!.map(({ name: portName, containerPort, protocol }) => ({
        containerPort,
        ...(portName !== undefined && { name: portName }),
        ...(protocol !== undefined && protocol !== 'TCP' && { protocol }),
      })),
      ...(restartPolicy !== undefined && { restartPolicy }),
    }));
}

function projectPodStatus(status: NonNullable<Pod['status']>): NonNullable<Pod['status']> {
  const { phase, podIP, podIPs, conditions } = status;
  const ready = conditions?.find(({ type }) => type === READY);
  return {
    ...(phase !== undefined && { phase }),
    ...(podIP !== undefined && { podIP }),
    ...(podIPs != null && { podIPs: podIPs.map(({ ip }) => ({ ip })) }),
    ...(ready !== undefined && { conditions: [{ type: READY, status: ready.status }] }),
  };
}

function projectService(metadata: ObjectMeta, { spec, status }: Raw<'Service'>): Service {
  const conditions = status?.conditions;
  return {
    kind: 'Service',
    metadata,
    ...(spec != null && { spec: projectServiceSpec(spec) }),
    ...(conditions != null && { status: { conditions: conditions.map(projectCondition) } }),
  };
}

function projectServiceSpec(spec: NonNullable<Service['spec']>): NonNullable<Service['spec']> {
  const { type, selector, clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy, externalName, ports } = spec;
  const { internalTrafficPolicy, trafficDistribution, publishNotReadyAddresses } = spec;
  return {
    ...(type !== undefined && { type }),
    ...(selector != null && { selector }),
    ...(clusterIP !== undefined && { clusterIP }),
    ...(clusterIPs != null && { clusterIPs }),
    ...(ipFamilies != null && { ipFamilies }),
    ...(ipFamilyPolicy !== undefined && { ipFamilyPolicy }),
    ...(externalName !== undefined && { externalName }),
    ...(internalTrafficPolicy !== undefined && { internalTrafficPolicy }),
    ...(trafficDistribution !== undefined && { trafficDistribution }),
    ...(publishNotReadyAddresses !== undefined && { publishNotReadyAddresses }),
    ...(ports != null && { ports: ports.map(projectServicePort) }),
  };
}

type ServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number];

function projectServicePort({ name, port, targetPort, protocol, appProtocol }: ServicePort): ServicePort {
  return {
    port,
    ...(name !== undefined && { name }),
    ...(targetPort !== undefined && { targetPort }),
    ...(protocol !== undefined && { protocol }),
    ...(appProtocol !== undefined && { appProtocol }),
  };
}

function projectEndpointSlice(metadata: ObjectMeta, raw: Raw<'EndpointSlice'>): EndpointSlice {
  const { addressType, endpoints, ports } = raw;
  return {
    kind: 'EndpointSlice',
    metadata,
    addressType,
    endpoints: (endpoints ?? []).map(({ addresses, conditions, nodeName, zone, targetRef }) => ({
      addresses,
      ...(conditions !== undefined && { conditions }),
      ...(nodeName !== undefined && { nodeName }),
      ...(zone !== undefined && { zone }),
      ...(targetRef !== undefined && { targetRef: projectTarget(targetRef) }),
    })),
    ...(ports != null && { ports: ports.map(projectSlicePort) }),
  };
}

type Target = NonNullable<NonNullable<EndpointSlice['endpoints']>[number]['targetRef']>;
type SlicePort = NonNullable<EndpointSlice['ports']>[number];

function projectTarget({ kind, name, namespace }: Target): Target {
  return {
    ...(kind !== undefined && { kind }),
    ...(name !== undefined && { name }),
    ...(namespace !== undefined && { namespace }),
  };
}

function projectSlicePort({ name, port, protocol, appProtocol }: SlicePort): SlicePort {
  return {
    ...(name !== undefined && { name }),
    ...(port !== undefined && { port }),
    ...(protocol !== undefined && { protocol }),
    ...(appProtocol !== undefined && { appProtocol }),
  };
}

interface OwnRaw {
  readonly spec?: unknown;
  readonly status?: { readonly conditions?: readonly Condition[]; readonly addresses?: unknown };
}

function projectOwn(kind: ObjectKind, metadata: ObjectMeta, raw: OwnRaw): MeshObject {
  const { spec, status } = raw;
  const conditions = status?.conditions?.map(projectCondition);
  const kept = {
    ...(conditions !== undefined && { conditions }),
    ...(status?.addresses != null && { addresses: status.addresses }),
  };
  const object = { kind, metadata, ...(spec != null && { spec }), ...(status != null && { status: kept }) };
  // The schema of the kind has been checked: see decode.ts.
  return object as MeshObject;
}

function projectCondition(condition: Condition): Condition {
  const { type, status, reason, message, observedGeneration, lastTransitionTime } = condition;
  return {
    type,
    status,
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    ...(observedGeneration !== undefined && { observedGeneration }),
    ...(lastTransitionTime !== undefined && { lastTransitionTime }),
  };
}
