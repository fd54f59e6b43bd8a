/** Large buffers straight from the kernel: a page costs nothing until it is touched, and can be given back. */

import { sysErrors } from './errors.ts';
import { ffi } from './ffi.ts';
import * as k from './layouts.ts';
import { libc } from './libc.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/**
 * A buffer that is never freed, for a pool. Unlike memory of malloc(3) it is not filled with zeros by writing them.
 * @throws AMBIT_SYSTEM_CALL_FAILED when there is no memory
 */
export function mapBuffer(size: number): NativeBuffer {
  const flags = k.MAP_PRIVATE | k.MAP_ANONYMOUS;
  const address = libc.mmap(0n, BigInt(size), k.PROT_READ | k.PROT_WRITE, flags, -1, 0n);
  if (address === MAP_FAILED) throw sysErrors.AMBIT_SYSTEM_CALL_FAILED(`map ${size} bytes of memory: ENOMEM`);
  return new NativeBuffer(size, ffi.toArrayBuffer(address, size, false));
}

/** Gives the pages of a mapped buffer back to the kernel; it reads as zeros afterwards. */
export function discardContent(buffer: NativeBuffer): void {
  libc.madvise(addressOf(buffer), BigInt(buffer.size), k.MADV_DONTNEED);
}
