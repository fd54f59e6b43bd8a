/** What one pod may take of the proxy that it shares with the other pods of its node. */

/** Connections of one pod on one reactor, both directions: a pod that leaks sockets must not take its neighbours along. */
export const MAX_CONNECTIONS_PER_POD = 20_000;
/** TLS connections to one pod's HBONE port on one reactor: a peer node needs a handful, a waypoint some more. */
export const MAX_HBONE_CONNECTIONS_PER_POD = 4096;
/** Of those, connections of one peer address: the others must find room. */
export const MAX_HBONE_CONNECTIONS_PER_PEER = 1024;
/** TLS handshakes to one pod on one reactor that are not done; beyond it the oldest gives way, so an honest peer gets in. */
export const MAX_OPEN_HANDSHAKES_PER_POD = 512;
/** Bytes that wait for sockets of one pod on one reactor; the tunnel that overdraws it is cut. */
export const MAX_HELD_BYTES_PER_POD = 256 * 1024 * 1024;
/** DNS queries of one pod on one reactor; those beyond it get no answer. */
export const DNS_QUERIES_PER_POD = { burst: 4000, perSecond: 2000 };
/** Of the process's descriptors, what the connections of one pod may take. */
const DESCRIPTOR_SHARE_PER_POD = 1 / 4;
/** Of a connection that is passed on in plain text; one through a tunnel has one. */
const DESCRIPTORS_PER_CONNECTION = 2;
/** A limit of a pod is logged once in this time, with how often it was reached meanwhile. */
export const LIMIT_LOG_INTERVAL_MS = 10_000;
/** Lines about refused HBONE connections of one pod on one reactor. */
export const REFUSAL_LINES_PER_POD = { burst: 100, perSecond: 10 };

/** Values of the label of `ambit_limit_reached_total`. */
export const LIMIT_NAMES = [
  'connections_per_pod',
  'hbone_connections_per_pod',
  'hbone_connections_per_peer',
  'tunnels_per_connection',
  'open_handshakes_per_pod',
  'turn_share_per_pod',
  'held_bytes_per_pod',
  'refusal_lines_per_pod',
  'dns_queries_per_pod',
  'dns_tcp_sessions',
  'dns_pending_queries',
  'source_ports',
  'descriptors',
] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];

/** How many connections a pod may have on one reactor, where there are so many descriptors; 0: without end. */
export function connectionsPerPod(maxDescriptors: number, reactors: number): number {
  if (maxDescriptors === 0) return MAX_CONNECTIONS_PER_POD;
  const share = (maxDescriptors * DESCRIPTOR_SHARE_PER_POD) / DESCRIPTORS_PER_CONNECTION / reactors;
  return Math.min(MAX_CONNECTIONS_PER_POD, Math.max(1, Math.floor(share)));
}

/** Dial of an upstream, TCP and TLS together; Istio's CONNECTION_TIMEOUT. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** How long a replaced certificate can still begin handshakes: longer than a dial takes that was given it. */
export const RETIRED_CONTEXT_MS = 15_000;
/** How long a connection waits for the control plane to tell of the pod that made it. */
export const WORKLOAD_WAIT_MS = 5000;
/** Endpoints that are tried in turn while no byte has moved. */
export const MAX_DIAL_ATTEMPTS = 3;
/** Backlog of the listeners in pods. */
export const LISTEN_BACKLOG = 1024;
/** How often live byte counts and gauges reach the metrics. */
export const REPORT_INTERVAL_MS = 1000;
