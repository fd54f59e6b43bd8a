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

let lent = 0;

/** Buffers of this thread that were acquired and not released. */
export function buffersInUse(): number {
  return lent;
}

/** The buffers of one size. */
export class BufferPool {
  readonly #size: number;
  readonly #free: NativeBuffer[] = [];

  /** See {@link poolFor}. */
  constructor(size: number) {
    this.#size = size;
  }

  /** A buffer of that size with undefined content. */
  acquire(): NativeBuffer {
    lent++;
    return (
      this.#free.pop() ?? (this.#size < MAPPED_FROM ? new NativeBuffer(this.#size) : mapBuffer(this.#size))
    );
  }

  /** Takes a buffer back of which the first `used` bytes were written to; the caller must not touch it again. */
  release(buffer: NativeBuffer, used = buffer.size): void {
    lent--;
    const free = this.#free;
    if (this.#size < MAPPED_FROM) {
      if (free.length < MAX_FREE_SMALL) free.push(buffer);
      return;
    }
    if (free.length >= MAX_WARM && used > MAX_USED_OF_OTHERS) discardContent(buffer);
    free.push(buffer);
  }
}

const pools = new Map<number, BufferPool>();

/** The one pool of this thread for buffers of exactly `size` bytes. */
export function poolFor(size: number): BufferPool {
  let pool = pools.get(size);
  if (pool === undefined) {
    pool = new BufferPool(size);
    pools.set(size, pool);
  }
  return pool;
}
