/** What one pod may take of the proxy that it shares with the other pods of its node. */

/** Connections of one pod on one reactor, both directions: a pod that leaks sockets must not take its neighbours along. */
export const MAX_CONNECTIONS_PER_POD = 20_000;
/** TLS connections to one pod's HBONE port on one reactor: a peer node needs a handful, a waypoint some more. */
export const MAX_HBONE_CONNECTIONS_PER_POD = 4096;
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
