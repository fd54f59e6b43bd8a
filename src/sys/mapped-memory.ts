/** Large buffers straight from the kernel: a page costs nothing until it is touched, and can be given back. */

import { sysErrors } from './errors.ts';
import { ffi } from './ffi.ts';
import * as k from './layouts.ts';
import { libc } from './libc.ts';
import { addressOf, furtherOn, NativeBuffer } from './native-buffer.ts';

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** Mapped at a time, by each thread: a mapping keeps all threads of the process waiting that touch a new page meanwhile. */
const REGION_BYTES = 4 * 1024 * 1024;

/** What is left of the region that was mapped last. */
const region = { start: 0n, bytes: 0 };

/**
 * A buffer that is never freed, for a pool; `size` is a multiple of a page. Unlike memory of malloc(3) it is not filled with zeros by
 * writing them.
 * @throws AMBIT_SYSTEM_CALL_FAILED when there is no memory
 */
export function mapBuffer(size: number): NativeBuffer {
  if (region.bytes < size) mapRegion(Math.max(size, REGION_BYTES));
  const address = region.start;
  region.start = furtherOn(address, size);
  region.bytes -= size;
  return new NativeBuffer(size, ffi.toArrayBuffer(address, size, false));
}

function mapRegion(bytes: number): void {
  const flags = k.MAP_PRIVATE | k.MAP_ANONYMOUS;
  const start = libc.mmap(0n, BigInt(bytes), k.PROT_READ | k.PROT_WRITE, flags, -1, 0n);
  if (start === MAP_FAILED) throw sysErrors.AMBIT_SYSTEM_CALL_FAILED(`map ${bytes} bytes of memory: ENOMEM`);
  region.start = start;
  region.bytes = bytes;
}

/** Gives the pages of a mapped buffer back to the kernel; it reads as zeros afterwards. */
export function discardContent(buffer: NativeBuffer): void {
  libc.madvise(addressOf(buffer), BigInt(buffer.size), k.MADV_DONTNEED);
}
