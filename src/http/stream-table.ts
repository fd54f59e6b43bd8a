/** The streams of a connection: those that are open by identifier, and how the recent ones ended. */

import { IdMap } from '../base/id-map.ts';
import { MAX_STREAM_ID } from './http2-frame.ts';
import { REMEMBERED_STREAMS } from './http2-limits.ts';
import type { Http2Stream } from './http2-stream.ts';

/**
 * How a stream that is not open came to be so (RFC 9113 §5.1). `idle` includes identifiers that were skipped;
 * `forgotten` is a stream that closed long ago, or was skipped.
 */
export type StreamFate = 'idle' | 'ended' | 'reset-by-us' | 'reset-by-peer' | 'forgotten';
export type StreamEnding = Exclude<StreamFate, 'idle' | 'forgotten'>;

const ENDINGS: readonly StreamEnding[] = ['ended', 'reset-by-us', 'reset-by-peer'];

export class StreamTable {
  readonly #isServer: boolean;
  readonly #open = new IdMap<Http2Stream>();
  /** A ring of the last streams that closed, and how (an index of ENDINGS). */
  readonly #closedIds = new Int32Array(REMEMBERED_STREAMS);
  readonly #endings = new Uint8Array(REMEMBERED_STREAMS);
  #nextClosed = 0;
  #ringIsFull = false;
  // Frames come in bunches for one stream.
  #recent: Http2Stream | undefined;
  #nextOwnId: number;
  #lastPeerId = 0;

  constructor(role: 'client' | 'server', firstOwnId = 1) {
    this.#isServer = role === 'server';
    this.#nextOwnId = firstOwnId;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The highest identifier that the peer has used. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  /** Identifiers have run out (RFC 9113 §5.1.1); a new connection is needed. */
  get exhausted(): boolean {
    return this.#nextOwnId > MAX_STREAM_ID;
  }

  all(): Http2Stream[] {
    return this.#open.values();
  }

  find(streamId: number): Http2Stream | undefined {
    const recent = this.#recent;
    if (recent !== undefined && recent.id === streamId) return recent;
    const found = this.#open.get(streamId);
    if (found !== undefined) this.#recent = found;
    return found;
  }

  /** An identifier for a stream that we open. */
  takeId(): number {
    const id = this.#nextOwnId;
    this.#nextOwnId += 2;
    return id;
  }

  /** Whether the peer may open a stream by that identifier now: odd from clients, none from servers, rising. */
  peerMayOpen(streamId: number): boolean {
    return this.#isServer && streamId % 2 === 1 && streamId > this.#lastPeerId;
  }

  notePeerId(streamId: number): void {
    this.#lastPeerId = streamId;
  }

  add(stream: Http2Stream): void {
    this.#open.add(stream);
    this.#recent = stream;
  }

  /** False when the stream was not open. */
  remove(stream: Http2Stream, ending: StreamEnding): boolean {
    if (!this.#open.delete(stream.id)) return false;
    if (this.#recent === stream) this.#recent = undefined;
    stream.closed = true;
    this.remember(stream.id, ending);
    return true;
  }

  /** Also for streams that were refused before they were ever in the table. */
  remember(streamId: number, ending: StreamEnding): void {
    this.#closedIds[this.#nextClosed] = streamId;
    this.#endings[this.#nextClosed] = ENDINGS.indexOf(ending);
    this.#nextClosed = (this.#nextClosed + 1) % REMEMBERED_STREAMS;
    if (this.#nextClosed === 0) this.#ringIsFull = true;
  }

  /** What became of a stream that {@link find} does not know. */
  fateOf(streamId: number): StreamFate {
    const own = (streamId % 2 === 1) !== this.#isServer;
    if (own ? streamId >= this.#nextOwnId : streamId > this.#lastPeerId) return 'idle';
    const at = this.#closedIds.lastIndexOf(streamId);
    if (at >= 0) return ENDINGS[this.#endings[at]!]!;
    return this.#ringIsFull ? 'forgotten' : 'idle';
  }
}
