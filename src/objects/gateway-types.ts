/** The objects of gateway.networking.k8s.io that declare waypoints. */

import type { Condition, ObjectOf } from './core-types.ts';

export interface LabelSelectorRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

/** Which namespaces may attach to a listener; absent means the Gateway's own. */
export interface RouteNamespaces {
  readonly from?: 'All' | 'Selector' | 'Same' | 'None';
  readonly selector?: {
    readonly matchLabels?: Readonly<Record<string, string>>;
    readonly matchExpressions?: readonly LabelSelectorRequirement[];
  };
}

export interface GatewayListener {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly hostname?: string;
  readonly allowedRoutes?: { readonly namespaces?: RouteNamespaces };
}

export interface GatewayAddressValue {
  readonly type?: string;
  readonly value?: string;
}

export interface GatewaySpec {
  readonly gatewayClassName: string;
  readonly listeners?: readonly GatewayListener[];
  readonly addresses?: readonly GatewayAddressValue[];
}

export interface Gateway extends ObjectOf<'Gateway'> {
  readonly spec: GatewaySpec;
  readonly status?: {
    readonly addresses?: readonly GatewayAddressValue[];
    readonly conditions?: readonly Condition[];
  };
}

export interface GatewayClass extends ObjectOf<'GatewayClass'> {
  readonly spec: { readonly controllerName: string };
}
