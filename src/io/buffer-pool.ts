/** Native buffers of this thread that nobody uses now, by size: an idle connection holds none. */

import { discardContent, mapBuffer } from '../sys/mapped-memory.ts';
import { NativeBuffer } from '../sys/native-buffer.ts';

/**
 * From this size on buffers are mapped and kept for good, since during a turn there may be one for every connection
 * that has something to say, each with a page or two in use. In bytes.
 */
const MAPPED_FROM = 64 * 1024;
/** Free buffers that may keep what was written to them; of the others only this much. */
const MAX_WARM = 16;
const MAX_USED_OF_OTHERS = 16 * 1024;
/** Free buffers below MAPPED_FROM that are kept; the rest is left to the garbage collector. */
const MAX_FREE_SMALL = 256;

/** Free buffers of one size. */
interface FreeBuffers {
  /** They keep what was written to them, and are taken first: the last one used is still in the processor's cache. */
  readonly warm: NativeBuffer[];
  readonly cold: NativeBuffer[];
}

const freeBySize = new Map<number, FreeBuffers>();
let lent = 0;

/** Buffers of this thread that were acquired and not released. */
export function buffersInUse(): number {
  return lent;
}

function freeOf(size: number): FreeBuffers {
  let free = freeBySize.get(size);
  if (free === undefined) {
    free = { warm: [], cold: [] };
    freeBySize.set(size, free);
  }
  return free;
}

/** A buffer of exactly `size` bytes with undefined content. */
export function acquireBuffer(size: number): NativeBuffer {
  lent++;
  const { warm, cold } = freeOf(size);
  return warm.pop() ?? cold.pop() ?? (size < MAPPED_FROM ? new NativeBuffer(size) : mapBuffer(size));
}

/** Takes a buffer back of which the first `used` bytes were written to; the caller must not touch it again. */
export function releaseBuffer(buffer: NativeBuffer, used = buffer.size): void {
  lent--;
  const { warm, cold } = freeOf(buffer.size);
  const isMapped = buffer.size >= MAPPED_FROM;
  if (warm.length < (isMapped ? MAX_WARM : MAX_FREE_SMALL)) warm.push(buffer);
  else if (isMapped) {
    if (used > MAX_USED_OF_OTHERS) discardContent(buffer);
    cold.push(buffer);
  }
}
