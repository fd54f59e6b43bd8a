/** One DeltaDiscoveryResponse about to be sent: put together from frames that were encoded once for all clients. */

import { DeltaDiscoveryResponse } from './discovery-messages.ts';
import type { PiecewiseMessage } from './grpc/message-framing.ts';
import { systemVersion } from './partial-responses.ts';

/** Bytes; pieces of a response are made one after the other, as the client takes them. */
const PIECE_BYTES = 128 * 1024;

export interface DeltaResponseParts {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly revision: number;
  /** Whether other responses complete this state. */
  readonly more: boolean;
  readonly frames: readonly Uint8Array[];
  readonly removed: readonly string[];
}

export class DeltaResponse implements PiecewiseMessage {
  readonly typeUrl: string;
  readonly resourceCount: number;
  readonly removedCount: number;
  /** Bytes. */
  readonly length: number;
  readonly #envelope: Uint8Array;
  readonly #frames: readonly Uint8Array[];

  constructor(parts: DeltaResponseParts) {
    const { typeUrl, nonce, revision, more, frames, removed } = parts;
    this.typeUrl = typeUrl;
    this.resourceCount = frames.length;
    this.removedCount = removed.length;
    this.#frames = frames;
    this.#envelope = DeltaDiscoveryResponse.encode({
      systemVersionInfo: systemVersion(revision, more),
      typeUrl,
      nonce,
      removedResources: removed,
    });
    this.length = frames.reduce((sum, frame) => sum + frame.length, this.#envelope.length);
  }

  /** Fields may stand in any order on the wire: first all others, then the resources. */
  *pieces(): Generator<Uint8Array> {
    let batch = [this.#envelope];
    let bytes = this.#envelope.length;
    for (const frame of this.#frames) {
      if (bytes + frame.length > PIECE_BYTES) {
        yield Buffer.concat(batch, bytes);
        [batch, bytes] = [[], 0];
      }
      batch.push(frame);
      bytes += frame.length;
    }
    yield Buffer.concat(batch, bytes);
  }
}
