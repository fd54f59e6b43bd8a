/** What the control thread and the reactor threads of ztunnel say to each other. */

import type { IpAddress } from '../../base/ip.ts';
import type { SeriesEntry } from '../../telemetry/series-store.ts';
import type { RejectedResource } from '../../xds/mesh-resources.ts';
import type { SharedUpdate } from '../../xds/shared-update.ts';
import type { ZtunnelConfig } from '../config.ts';

/** A pod that this proxy serves, as the node agent announced it. */
export interface PodInfo {
  /** Kubernetes' UID of the pod. */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Search domains of the pod's own resolver that are not the cluster's; empty when it has none. */
  readonly searchDomains: readonly string[];
}

/** A certificate with everything a TLS context is made of; it never leaves the process. */
export interface IdentityMaterial {
  readonly kind: 'available';
  /** The SPIFFE URI. */
  readonly identity: string;
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustedRootsPem: string;
}

/** There is no usable certificate, and why. */
export interface IdentityUnavailable {
  readonly kind: 'unavailable';
  readonly identity: string;
  readonly reason: string;
}

export type ConnectionProtocol = 'TCP' | 'HBONE' | 'DOUBLEHBONE';

/** One open connection, for config_dump and `ambit ztunnel-config connections`. */
export interface ConnectionSummary {
  readonly podUid: string;
  readonly direction: 'inbound' | 'outbound';
  readonly src: string;
  readonly originalDst: string;
  readonly actualDst: string;
  readonly protocol: ConnectionProtocol;
}

/** What a reactor thread answers to a query. */
export interface ReactorDump {
  readonly connections: readonly ConnectionSummary[];
  /** Only where asked for: the mesh state that this thread decides by. */
  readonly mesh?: {
    readonly workloads: readonly unknown[];
    readonly services: readonly unknown[];
    readonly policies: readonly unknown[];
    readonly stagedServices: unknown;
  };
}

export type ToReactor =
  | { readonly kind: 'resources'; readonly id: number; readonly update: SharedUpdate }
  | {
      readonly kind: 'pod-add';
      readonly pod: PodInfo;
      readonly namespaceFd: number;
      readonly attempt: number;
    }
  | { readonly kind: 'pod-remove'; readonly uid: string }
  /** The first state of the mesh is complete: what it took to read it is not needed any more. */
  | { readonly kind: 'mesh-read' }
  /** Take HBONE for the proxy's own pod, in its own namespace. */
  | { readonly kind: 'serve-self'; readonly pod: PodInfo }
  | { readonly kind: 'identity'; readonly material: IdentityMaterial | IdentityUnavailable }
  /** The content of the revocation list file; undefined when there is none. */
  | { readonly kind: 'revocations'; readonly content: Uint8Array | undefined }
  | { readonly kind: 'hostname'; readonly hostname: string; readonly addresses: readonly IpAddress[] }
  | { readonly kind: 'log-levels'; readonly specification: string | undefined }
  | { readonly kind: 'dump'; readonly id: number; readonly withMesh: boolean }
  | { readonly kind: 'drain' }
  | { readonly kind: 'close-all' };

export type FromReactor =
  | { readonly kind: 'ready'; readonly wakeFd: number; readonly series: SharedArrayBuffer }
  | { readonly kind: 'series'; readonly entry: SeriesEntry }
  | { readonly kind: 'log'; readonly text: string }
  | { readonly kind: 'identity-wanted'; readonly identity: string }
  | { readonly kind: 'hostname-wanted'; readonly hostname: string }
  | {
      readonly kind: 'pod-started';
      readonly uid: string;
      readonly attempt: number;
      readonly error: string | undefined;
    }
  | { readonly kind: 'pod-stopped'; readonly uid: string }
  /** What the thread refused of an update, by position; the rest is in force. */
  | { readonly kind: 'resources-taken'; readonly id: number; readonly rejected: readonly RejectedResource[] }
  | { readonly kind: 'dump'; readonly id: number; readonly dump: ReactorDump }
  /** The thread has collected what many connections have left: the allocator, which all share, holds free blocks now. */
  | { readonly kind: 'collected' }
  | { readonly kind: 'drained' };

/** What a reactor thread is started with. */
export interface ReactorBoot {
  readonly config: ZtunnelConfig;
  readonly index: number;
}
