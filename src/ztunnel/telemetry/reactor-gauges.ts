/** What a reactor thread reports at intervals rather than at each event: protections of HTTP/2, and what is open. */

import type { Http2Counters } from '../../http/http2-counters.ts';
import { buffersInUse } from '../../io/buffer-pool.ts';
import type { SeriesStore } from '../../telemetry/series-store.ts';
import type { ConnectionTracker } from '../proxy/connection-tracker.ts';
import { HTTP2_PROTECTION, RESOURCES_HELD, SOCKETS_OPEN } from './metric-definitions.ts';

/** Counters of single limits beside those of the floods. */
export const PROTECTION_LIMITS = [
  'refusedStreams',
  'malformedMessages',
  'headerListsTooLarge',
  'protocolErrors',
  'settingsTimeouts',
  'keepAliveTimeouts',
  'outputStalls',
  'headerTimeouts',
] as const;

/** Copies the present values into the thread's series. */
export function reportReactorGauges(
  store: SeriesStore,
  counters: Http2Counters,
  tracker: ConnectionTracker,
): void {
  for (const limit of PROTECTION_LIMITS) store.set(store.series(HTTP2_PROTECTION, [limit]), counters[limit]);
  for (const [flood, count] of Object.entries(counters.floods)) {
    store.set(store.series(HTTP2_PROTECTION, [`${flood}Flood`]), count);
  }
  for (const reporter of ['source', 'destination'] as const) {
    store.set(store.series(SOCKETS_OPEN, [reporter]), tracker.countByReporter(reporter));
  }
  const held = {
    http2_connections: counters.connections - counters.connectionsClosed,
    http2_streams: counters.streams - counters.streamsClosed,
    buffers: buffersInUse(),
  };
  for (const [kind, count] of Object.entries(held)) store.set(store.series(RESOURCES_HELD, [kind]), count);
}
