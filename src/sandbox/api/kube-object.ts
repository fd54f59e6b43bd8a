/** Objects as the sandbox stores them: Kubernetes' own shapes, with the metadata an API server adds. */

import type {
  EndpointSlice,
  Namespace,
  Node,
  ObjectMeta,
  ObjectOf,
  Pod,
  Service,
} from '../../objects/core-types.ts';

/** What every stored object has, whatever its kind. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: StoredMeta;
  readonly [field: string]: unknown;
}

export interface StoredMeta extends ObjectMeta {
  /** Grows with every change of any object of the sandbox. */
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
}

export type Labels = Readonly<Record<string, string>>;

export interface LabelSelector {
  readonly matchLabels?: Labels;
}

export interface PodTemplate {
  readonly metadata?: { readonly labels?: Labels; readonly annotations?: Labels };
  readonly spec: PodSpec;
}

export type PodSpec = NonNullable<Pod['spec']>;
export type PodStatus = NonNullable<Pod['status']>;
export type Container = PodSpec['containers'][number];

/** What Deployment, ReplicaSet and StatefulSet have in common. */
export interface ReplicatedSpec {
  readonly replicas?: number;
  readonly selector: LabelSelector;
  readonly template: PodTemplate;
  /** Of a StatefulSet: the headless Service that names its pods. */
  readonly serviceName?: string;
}

export interface Deployment extends ObjectOf<'Deployment'> {
  readonly spec: ReplicatedSpec;
}
export interface ReplicaSet extends ObjectOf<'ReplicaSet'> {
  readonly spec: ReplicatedSpec;
}
export interface StatefulSet extends ObjectOf<'StatefulSet'> {
  readonly spec: ReplicatedSpec;
}

/** The kinds whose meaning the sandbox knows. */
export interface KnownKinds {
  readonly Namespace: Namespace;
  readonly Node: Node;
  readonly Pod: Pod;
  readonly Service: Service;
  readonly EndpointSlice: EndpointSlice;
  readonly Deployment: Deployment;
  readonly ReplicaSet: ReplicaSet;
  readonly StatefulSet: StatefulSet;
}

export type Stored<K extends keyof KnownKinds> = KubeObject &
  KnownKinds[K] & { readonly metadata: StoredMeta };
export type StoredPod = Stored<'Pod'>;
export type StoredService = Stored<'Service'>;

/** Which object is meant. */
export interface Reference {
  readonly kind: string;
  /** API group; empty for the core group. */
  readonly group: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

export function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

export function referenceTo(object: KubeObject): Reference {
  const { kind, apiVersion, metadata } = object;
  return { kind, group: groupOf(apiVersion), namespace: metadata.namespace, name: metadata.name };
}

/** `deployment.apps/orders`, as kubectl writes it. */
export function displayName(reference: Reference): string {
  const group = reference.group === '' ? '' : `.${reference.group}`;
  return `${reference.kind.toLowerCase()}${group}/${reference.name}`;
}

/** Whether the labels hold everything that is asked for; an empty selector selects nothing. */
export function selects(selector: Labels | undefined, labels: Labels | undefined): boolean {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels?.[key] === value);
}

/** The owner that manages this object, if any. */
export function controllerOf(object: { readonly metadata: ObjectMeta }) {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}

/** Neither ended for good nor on its way out. */
export function isActive(pod: Pod): boolean {
  const { phase } = pod.status ?? {};
  return pod.metadata.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed';
}
