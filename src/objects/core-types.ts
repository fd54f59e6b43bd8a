/** The Kubernetes core objects the mesh reads, with the metadata that every source guarantees. */

import type {
  V1EndpointSlice,
  V1NamespaceSpec,
  V1NodeSpec,
  V1NodeStatus,
  V1OwnerReference,
  V1PodSpec,
  V1PodStatus,
  V1ServiceSpec,
  V1ServiceStatus,
} from '@kubernetes/client-node';

/**
 * Object metadata as it is on the wire (timestamps are RFC 3339 text, which the generated types call Date).
 * A source fills in what a manifest may leave out: the namespace, a uid and a generation.
 */
export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly uid: string;
  /** Grows by one with every change of the desired state. */
  readonly generation: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly ownerReferences?: readonly V1OwnerReference[];
}

/** A status condition as written; a person may leave out what a controller would not. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  /** RFC 3339. */
  readonly lastTransitionTime?: string;
}

/** What every kind has in common; `kind` tells them apart. */
export interface ObjectOf<K extends string> {
  readonly kind: K;
  readonly metadata: ObjectMeta;
}

export interface Namespace extends ObjectOf<'Namespace'> {
  readonly spec?: Readonly<V1NamespaceSpec>;
}

export interface Node extends ObjectOf<'Node'> {
  readonly spec?: Readonly<V1NodeSpec>;
  readonly status?: Readonly<V1NodeStatus>;
}

export interface Pod extends ObjectOf<'Pod'> {
  readonly spec?: Readonly<V1PodSpec>;
  readonly status?: Readonly<V1PodStatus>;
}

export interface Service extends ObjectOf<'Service'> {
  readonly spec?: Readonly<V1ServiceSpec>;
  readonly status?: Readonly<Omit<V1ServiceStatus, 'conditions'>> & {
    readonly conditions?: readonly Condition[];
  };
}

export interface EndpointSlice
  extends ObjectOf<'EndpointSlice'>,
    Readonly<Pick<V1EndpointSlice, 'addressType' | 'endpoints' | 'ports'>> {}
