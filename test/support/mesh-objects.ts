/** Builds Kubernetes objects for tests with as few words as possible. */

import type { ObjectMeta } from '../../src/objects/core-types.ts';
import type { KindMap, MeshObject, ObjectKind } from '../../src/objects/kinds.ts';
import { KINDS } from '../../src/objects/kinds.ts';

export type MetaInput = Partial<ObjectMeta> & { readonly name: string };

export function meta(kind: ObjectKind, input: MetaInput): ObjectMeta {
  const namespace = KINDS[kind].namespaced ? (input.namespace ?? 'shop') : '';
  return { uid: `uid-${kind}-${namespace}-${input.name}`, generation: 1, ...input, namespace };
}

type Fields<K extends ObjectKind> = Partial<Omit<KindMap[K], 'kind' | 'metadata'>>;

/** An object of a kind; in namespace `shop` unless another is given. */
export function make<K extends ObjectKind>(kind: K, metadata: MetaInput, fields?: Fields<K>): KindMap[K] {
  return { kind, metadata: meta(kind, metadata), ...fields } as unknown as KindMap[K];
}

export interface PodInput extends MetaInput {
  readonly ip?: string;
  readonly ready?: boolean;
  readonly enrolled?: boolean;
  readonly node?: string;
  readonly serviceAccount?: string;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  /** Name → container port. */
  readonly ports?: Readonly<Record<string, number>>;
}

/** A running pod. */
export function pod(input: PodInput): KindMap['Pod'] {
  const {
    ip = '10.0.0.1',
    ready = true,
    enrolled = false,
    node,
    serviceAccount,
    phase,
    hostNetwork,
    ports,
    ...rest
  } = input;
  const annotations = {
    ...rest.annotations,
    ...(enrolled ? { 'ambient.istio.io/redirection': 'enabled' } : {}),
  };
  const containerPorts = Object.entries(ports ?? {}).map(([name, containerPort]) => ({
    name,
    containerPort,
  }));
  return make(
    'Pod',
    { ...rest, annotations },
    {
      spec: {
        containers: [{ name: 'app', ports: containerPorts }],
        ...(node === undefined ? {} : { nodeName: node }),
        ...(serviceAccount === undefined ? {} : { serviceAccountName: serviceAccount }),
        ...(hostNetwork === undefined ? {} : { hostNetwork }),
      },
      status: {
        phase: phase ?? 'Running',
        ...(ip === '' ? {} : { podIP: ip, podIPs: [{ ip }] }),
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      },
    },
  );
}

export interface ServiceInput extends MetaInput {
  readonly ip?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly spec?: KindMap['Service']['spec'];
}

/** A ClusterIP service with port 80 to 8080. */
export function service(input: ServiceInput): KindMap['Service'] {
  const { ip = '10.96.0.1', selector = { app: 'web' }, spec, ...metadata } = input;
  return make('Service', metadata, {
    spec: {
      clusterIP: ip,
      clusterIPs: [ip],
      selector,
      ports: [{ name: 'http', port: 80, targetPort: 8080 }],
      ...spec,
    },
  });
}

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): KindMap['Namespace'] {
  return make('Namespace', { name, labels });
}

export interface WaypointInput extends MetaInput {
  readonly ip?: string;
  readonly hostname?: string;
  readonly from?: 'All' | 'Same' | 'Selector' | 'None';
  readonly selector?: Readonly<Record<string, string>>;
  readonly className?: string;
}

/** A waypoint with an address, unless the address is empty. */
export function waypoint(input: WaypointInput): KindMap['Gateway'] {
  const { ip = '10.0.9.9', hostname, from, selector, className = 'istio-waypoint', ...metadata } = input;
  const namespaces =
    from === undefined
      ? {}
      : { from, ...(selector === undefined ? {} : { selector: { matchLabels: selector } }) };
  const address =
    hostname === undefined ? { type: 'IPAddress', value: ip } : { type: 'Hostname', value: hostname };
  return make('Gateway', metadata, {
    spec: {
      gatewayClassName: className,
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces } }],
    },
    status: { addresses: address.value === '' ? [] : [address] },
  });
}

/** All objects as additions. */
export function additions(objects: readonly MeshObject[]): { type: 'upsert'; object: MeshObject }[] {
  return objects.map((object) => ({ type: 'upsert', object }));
}
