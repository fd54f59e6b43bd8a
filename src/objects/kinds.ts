/** The kinds of objects the mesh reads, and where each of them lives in the Kubernetes API. */

import type { EndpointSlice, Namespace, Node, Pod, Service } from './core-types.ts';
import type { Gateway, GatewayClass } from './gateway-types.ts';
import type { AuthorizationPolicy, PeerAuthentication, ServiceEntry, WorkloadEntry } from './istio-types.ts';

export interface KindMap {
  readonly Namespace: Namespace;
  readonly Node: Node;
  readonly Pod: Pod;
  readonly Service: Service;
  readonly EndpointSlice: EndpointSlice;
  readonly ServiceEntry: ServiceEntry;
  readonly WorkloadEntry: WorkloadEntry;
  readonly AuthorizationPolicy: AuthorizationPolicy;
  readonly PeerAuthentication: PeerAuthentication;
  readonly Gateway: Gateway;
  readonly GatewayClass: GatewayClass;
}

export type ObjectKind = keyof KindMap;
export type MeshObject = KindMap[ObjectKind];

export interface KindDescription {
  /** API group; empty for the core group. */
  readonly group: string;
  /** The version that is asked for. */
  readonly version: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const ISTIO_NETWORKING = { group: 'networking.istio.io', version: 'v1', namespaced: true } as const;
const ISTIO_SECURITY = { group: 'security.istio.io', version: 'v1', namespaced: true } as const;
const GATEWAY_API = { group: 'gateway.networking.k8s.io', version: 'v1' } as const;
const CORE = { group: '', version: 'v1' } as const;

export const KINDS: Readonly<Record<ObjectKind, KindDescription>> = {
  Namespace: { ...CORE, plural: 'namespaces', namespaced: false },
  Node: { ...CORE, plural: 'nodes', namespaced: false },
  Pod: { ...CORE, plural: 'pods', namespaced: true },
  Service: { ...CORE, plural: 'services', namespaced: true },
  EndpointSlice: { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices', namespaced: true },
  ServiceEntry: { ...ISTIO_NETWORKING, plural: 'serviceentries' },
  WorkloadEntry: { ...ISTIO_NETWORKING, plural: 'workloadentries' },
  AuthorizationPolicy: { ...ISTIO_SECURITY, plural: 'authorizationpolicies' },
  PeerAuthentication: { ...ISTIO_SECURITY, plural: 'peerauthentications' },
  Gateway: { ...GATEWAY_API, plural: 'gateways', namespaced: true },
  GatewayClass: { ...GATEWAY_API, plural: 'gatewayclasses', namespaced: false },
};

export const OBJECT_KINDS = Object.keys(KINDS) as readonly ObjectKind[];

export function isObjectKind(text: string): text is ObjectKind {
  return Object.hasOwn(KINDS, text);
}
