/** How compilation finds other objects: by name, or by an index; whoever provides it can see what was asked. */

import type { KindMap, MeshObject, ObjectKind } from '../../objects/kinds.ts';
import type { CompileOptions } from './compile-options.ts';
import { selectorKey } from './selectors.ts';
import { ANNOTATIONS, LABELS, type Labels } from './well-known-keys.ts';

/** Files objects of one kind under keys that are not their names. */
export interface IndexDefinition<K extends ObjectKind> {
  readonly kind: K;
  keys(object: KindMap[K]): readonly string[];
  /**
   * The part of the object that those who find it under this key look at; when it stays the same, nothing that was
   * compiled with it has to be compiled again. Everything, when absent.
   */
  relevant?(object: KindMap[K], key: string): unknown;
}

function define<K extends ObjectKind>(definition: IndexDefinition<K>): IndexDefinition<K> {
  return definition;
}

function bySelector(namespace: string, selector: Labels | undefined): readonly string[] {
  return [selectorKey(namespace, selector ?? {})];
}

export const INDEXES = {
  /** `namespace`, `namespace|label=value`: Services with a selector. */
  serviceBySelector: define({
    kind: 'Service',
    keys: ({ metadata, spec }) =>
      Object.keys(spec?.selector ?? {}).length === 0 ? [] : bySelector(metadata.namespace, spec?.selector),
    relevant: ({ metadata, spec }) => [metadata.annotations?.[ANNOTATIONS.exportTo], spec],
  }),
  serviceEntryBySelector: define({
    kind: 'ServiceEntry',
    keys: ({ metadata, spec }) =>
      spec.workloadSelector === undefined ? [] : bySelector(metadata.namespace, spec.workloadSelector.labels),
    relevant: ({ spec }) => spec,
  }),
  policyBySelector: define({
    kind: 'AuthorizationPolicy',
    keys: ({ metadata, spec }) =>
      Object.keys(spec?.selector?.matchLabels ?? {}).length === 0
        ? []
        : bySelector(metadata.namespace, spec?.selector?.matchLabels),
    relevant: ({ spec }) => [spec?.selector, spec?.action, spec?.targetRef, spec?.targetRefs],
  }),
  peerAuthenticationBySelector: define({
    kind: 'PeerAuthentication',
    keys: ({ metadata, spec }) => bySelector(metadata.namespace, spec?.selector?.matchLabels),
    relevant: ({ metadata, spec }) => [metadata.creationTimestamp, spec],
  }),
  /** Lower-case host names of ServiceEntries. */
  serviceEntryByHost: define({
    kind: 'ServiceEntry',
    keys: ({ spec }) => spec.hosts.map((host) => host.toLowerCase()),
    relevant: ({ metadata }) => metadata.creationTimestamp,
  }),
  /** `namespace/service`: only whether there are any. */
  sliceByService: define({
    kind: 'EndpointSlice',
    keys: ({ metadata }) => {
      const service = metadata.labels?.[LABELS.serviceName];
      return service === undefined ? [] : [`${metadata.namespace}/${service}`];
    },
    relevant: () => undefined,
  }),
  /** `namespace/pod`: not whether it is ready, which the pod itself says. */
  sliceByPod: define({
    kind: 'EndpointSlice',
    keys: ({ metadata, endpoints }) =>
      (endpoints ?? []).flatMap(({ targetRef }) =>
        targetRef?.kind === 'Pod' ? [`${targetRef.namespace ?? metadata.namespace}/${targetRef.name}`] : [],
      ),
    relevant: ({ metadata }) => metadata.labels?.[LABELS.serviceName],
  }),
  /** Addresses of nodes. */
  nodeByAddress: define({
    kind: 'Node',
    keys: ({ status }) => (status?.addresses ?? []).map(({ address }) => address),
    relevant: () => undefined,
  }),
} as const;

export type IndexName = keyof typeof INDEXES;
export type IndexedObject<N extends IndexName> = KindMap[(typeof INDEXES)[N]['kind']];

/** A consistent view of all objects. What it returns is in no particular order. */
export interface ObjectLookup {
  /** @param namespace empty for cluster-scoped kinds */
  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined;
  find<N extends IndexName>(index: N, key: string): readonly IndexedObject<N>[];
}

/** What every compilation is given. */
export interface CompileContext {
  readonly options: CompileOptions;
  readonly objects: ObjectLookup;
}

/** The part of an object that those who get it by name look at; see {@link IndexDefinition.relevant}. */
export function relevantByName(object: MeshObject): unknown {
  const { labels, annotations } = object.metadata;
  switch (object.kind) {
    case 'Node':
    case 'GatewayClass':
      return labels;
    case 'Namespace':
      return [labels, annotations];
    case 'Service':
      return [labels, annotations, object.spec];
    case 'Gateway':
      return [labels, annotations, object.spec, object.status?.addresses];
    default:
      return object;
  }
}
