/** What every connection handler of one reactor thread works with. */

import type { IpAddress } from '../../base/ip.ts';
import type { Http2Counters } from '../../http/http2-counters.ts';
import type { RevocationList } from '../../identity/revocation-list.ts';
import type { Reactor } from '../../io/reactor.ts';
import { ILLEGAL_PORTS, ILLEGAL_PORTS_WITH_SOCKS5 } from '../../mesh/inbound-resolution.ts';
import type { MeshState } from '../../mesh/mesh-state.ts';
import type { SeriesStore } from '../../telemetry/series-store.ts';
import type { ZtunnelConfig } from '../config.ts';
import type { ConnectionTracker } from './connection-tracker.ts';
import type { HostnameResolver } from './hostname-resolver.ts';
import type { TlsContexts } from './tls-contexts.ts';
import type { WorkloadWait } from './workload-wait.ts';

export interface ReactorContext {
  readonly config: ZtunnelConfig;
  readonly reactor: Reactor;
  readonly mesh: MeshState;
  readonly tls: TlsContexts;
  readonly store: SeriesStore;
  readonly tracker: ConnectionTracker;
  readonly http2Counters: Http2Counters;
  readonly workloads: WorkloadWait;
  readonly hostnames: HostnameResolver;
  readonly nameservers: readonly IpAddress[];
  /** Of each pod, both directions, those that are only being set up included. */
  readonly maxConnectionsPerPod: number;
  /** Replaced as a whole when the file changes. */
  revocations: RevocationList;
}

/** Ports of pods that are the proxy's own, and no destination for anybody. */
export function illegalPorts(config: ZtunnelConfig): ReadonlySet<number> {
  return config.socks5 ? ILLEGAL_PORTS_WITH_SOCKS5 : ILLEGAL_PORTS;
}
