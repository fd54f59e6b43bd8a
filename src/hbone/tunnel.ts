/** An accepted tunnel, between the moment it is set up and the moment somebody takes it over. */

import type { Http2Stream } from '../http/http2-stream.ts';
import type { HeldBytes } from './held-bytes.ts';

/**
 * Whoever receives one sets `stream.handler` before it returns, or resets the stream. `early` are bytes that came
 * before that, and have to be given back by `stream.consumed()` like any others.
 */
export interface Tunnel {
  readonly stream: Http2Stream;
  readonly early: HeldBytes;
  /** The peer has ended its direction already. */
  readonly ended: boolean;
}
