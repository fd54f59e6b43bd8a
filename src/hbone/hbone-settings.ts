/** The HTTP/2 settings and limits of HBONE connections. */

import { defaultHttp2Settings, type Http2Settings } from '../http/http2-settings.ts';

/** Response fields are few: a status and a baggage. */
export const hboneClientSettings: Http2Settings = { ...defaultHttp2Settings, maxHeaderListSize: 16 * 1024 };

export const hboneServerSettings: Http2Settings = {
  ...defaultHttp2Settings,
  maxHeaderListSize: 64 * 1024,
  maxConcurrentStreams: 200,
};

/** What an operator may set of a pool. */
export interface PoolLimits {
  /** Tunnels on one connection at most, however many the peer allows: they share its window. */
  readonly maxTunnels: number;
  /** How long an unused connection stays open for the next tunnel. */
  readonly idleReleaseMs: number;
}

export const DEFAULT_POOL_LIMITS: PoolLimits = { maxTunnels: 100, idleReleaseMs: 5 * 60_000 };

/** A request must be answered by then; the other proxy itself waits 10 s for the application. */
export const RESPONSE_TIMEOUT_MS = 30_000;
