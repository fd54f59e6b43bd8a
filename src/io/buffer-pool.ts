/** Native buffers of this thread that nobody uses now, by size: an idle connection holds none. */

import { NativeBuffer } from '../sys/native-buffer.ts';

/** Free buffers kept per size; more are left to the garbage collector (32 of 256 KiB are 8 MiB per thread). */
const MAX_FREE_PER_SIZE = 32;

const freeBySize = new Map<number, NativeBuffer[]>();

/** A buffer of exactly `size` bytes with undefined content. */
export function acquireBuffer(size: number): NativeBuffer {
  return freeBySize.get(size)?.pop() ?? new NativeBuffer(size);
}

/** Takes a buffer back; the caller must not touch it again. */
export function releaseBuffer(buffer: NativeBuffer): void {
  const free = freeBySize.get(buffer.size);
  if (free === undefined) freeBySize.set(buffer.size, [buffer]);
  else if (free.length < MAX_FREE_PER_SIZE) free.push(buffer);
}
