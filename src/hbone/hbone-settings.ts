/** The HTTP/2 settings and limits of HBONE connections. */

import { defaultHttp2Settings, type Http2Settings } from '../http/http2-settings.ts';

/** Response fields are few: a status and a baggage. */
export const hboneClientSettings: Http2Settings = { ...defaultHttp2Settings, maxHeaderListSize: 16 * 1024 };

export const hboneServerSettings: Http2Settings = {
  ...defaultHttp2Settings,
  maxHeaderListSize: 64 * 1024,
  maxConcurrentStreams: 200,
};

/** Tunnels on one connection of a pool at most, however many the peer allows: they share its window. */
export const MAX_TUNNELS_PER_CONNECTION = 100;
/** An unused connection stays open this long for the next tunnel. */
export const IDLE_RELEASE_MS = 5 * 60_000;
/** A request must be answered by then; the other proxy itself waits 10 s for the application. */
export const RESPONSE_TIMEOUT_MS = 30_000;
