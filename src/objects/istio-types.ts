/** The objects of networking.istio.io and security.istio.io that ambient users write. */

import type { Condition, ObjectOf } from './core-types.ts';

/** The status all of these kinds share. */
export interface IstioStatus {
  readonly conditions?: readonly Condition[];
  readonly observedGeneration?: number;
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}

/** `spec.targetRefs[]`: the Gateway, GatewayClass, Service or ServiceEntry that a policy is attached to. */
export interface PolicyTargetReference {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface ServiceEntryPort {
  readonly number: number;
  readonly name: string;
  readonly protocol?: string;
  readonly targetPort?: number;
}

export type ServiceEntryResolution = 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS';

/** The spec of a WorkloadEntry; a ServiceEntry carries the same inline in `spec.endpoints`. */
export interface WorkloadEntrySpec {
  readonly address?: string;
  /** Service port name → port of this workload. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: string;
  /** `region/zone/subzone`. */
  readonly locality?: string;
  readonly weight?: number;
  readonly serviceAccount?: string;
}

export interface ServiceEntrySpec {
  readonly hosts: readonly string[];
  /** IP addresses or CIDR blocks. */
  readonly addresses?: readonly string[];
  readonly ports?: readonly ServiceEntryPort[];
  readonly location?: 'MESH_EXTERNAL' | 'MESH_INTERNAL';
  readonly resolution?: ServiceEntryResolution;
  readonly endpoints?: readonly WorkloadEntrySpec[];
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> };
  readonly exportTo?: readonly string[];
  readonly subjectAltNames?: readonly string[];
}

/** One automatically allocated VIP: of all hosts, or of the one named. */
export interface ServiceEntryAddress {
  readonly value: string;
  readonly host?: string;
}

export interface ServiceEntry extends ObjectOf<'ServiceEntry'> {
  readonly spec: ServiceEntrySpec;
  readonly status?: IstioStatus & { readonly addresses?: readonly ServiceEntryAddress[] };
}

export interface WorkloadEntry extends ObjectOf<'WorkloadEntry'> {
  readonly spec: WorkloadEntrySpec;
  readonly status?: IstioStatus;
}

export interface AuthorizationSource {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
}

export interface AuthorizationOperation {
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

export interface AuthorizationCondition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

export interface AuthorizationRule {
  readonly from?: readonly { readonly source?: AuthorizationSource }[];
  readonly to?: readonly { readonly operation?: AuthorizationOperation }[];
  readonly when?: readonly AuthorizationCondition[];
}

export type AuthorizationAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

export interface AuthorizationPolicySpec {
  readonly selector?: LabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly action?: AuthorizationAction;
  readonly provider?: { readonly name?: string };
  readonly rules?: readonly AuthorizationRule[];
}

export interface AuthorizationPolicy extends ObjectOf<'AuthorizationPolicy'> {
  readonly spec?: AuthorizationPolicySpec;
  readonly status?: IstioStatus;
}

export type MutualTlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface MutualTls {
  readonly mode?: MutualTlsMode;
}

export interface PeerAuthentication extends ObjectOf<'PeerAuthentication'> {
  readonly spec?: {
    readonly selector?: LabelSelector;
    readonly mtls?: MutualTls;
    /** Port of the workload, in decimal → mode. */
    readonly portLevelMtls?: Readonly<Record<string, MutualTls>>;
  };
  readonly status?: IstioStatus;
}
