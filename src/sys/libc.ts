/** The system calls in use, with signatures that node:ffi can compile to direct calls. */

import { directFunctions, ffi } from './ffi.ts';
import './process-exit.ts';

/*
 * Called through directFunctions a signature makes no difference of more than a few ns, but integers of 64 bits are
 * BigInts: results are i32 where they fit. The paths that run per chunk use read and write, not recv and send, and not
 * readv with a prepared iovec, which needs no BigInt arithmetic, but 60 ns more in the kernel.
 */
const INT = 'i32';
const UINT = 'u32';
const LONG = 'i64';
const SIZE = 'u64';
const POINTER = 'pointer';

export const libc = directFunctions({
  __errno_location: { arguments: [], return: POINTER },
  accept4: { arguments: [INT, POINTER, POINTER, INT], return: INT },
  bind: { arguments: [INT, POINTER, INT], return: INT },
  close: { arguments: [INT], return: INT },
  connect: { arguments: [INT, POINTER, INT], return: INT },
  epoll_create1: { arguments: [INT], return: INT },
  epoll_ctl: { arguments: [INT, INT, INT, POINTER], return: INT },
  epoll_wait: { arguments: [INT, POINTER, INT, INT], return: INT },
  eventfd: { arguments: [UINT, INT], return: INT },
  // Variadic in C; on Linux x86-64 and arm64 one integer is passed as declared.
  fcntl: { arguments: [INT, INT, INT], return: INT },
  getpeername: { arguments: [INT, POINTER, POINTER], return: INT },
  getsockname: { arguments: [INT, POINTER, POINTER], return: INT },
  getsockopt: { arguments: [INT, INT, INT, POINTER, POINTER], return: INT },
  listen: { arguments: [INT, INT], return: INT },
  madvise: { arguments: [POINTER, SIZE, INT], return: INT },
  // glibc's, as are the two constants that it is called with.
  malloc_trim: { arguments: [SIZE], return: INT },
  mallopt: { arguments: [INT, INT], return: INT },
  mmap: { arguments: [POINTER, SIZE, INT, INT, INT, LONG], return: POINTER },
  pipe2: { arguments: [POINTER, INT], return: INT },
  read: { arguments: [INT, POINTER, SIZE], return: INT },
  recvfrom: { arguments: [INT, POINTER, SIZE, INT, POINTER, POINTER], return: INT },
  recvmsg: { arguments: [INT, POINTER, INT], return: INT },
  sendmsg: { arguments: [INT, POINTER, INT], return: INT },
  sendto: { arguments: [INT, POINTER, SIZE, INT, POINTER, INT], return: INT },
  setns: { arguments: [INT, INT], return: INT },
  setsockopt: { arguments: [INT, INT, INT, POINTER, INT], return: INT },
  shutdown: { arguments: [INT, INT], return: INT },
  socket: { arguments: [INT, INT, INT], return: INT },
  splice: { arguments: [INT, POINTER, INT, POINTER, SIZE, UINT], return: INT },
  unshare: { arguments: [INT], return: INT },
  write: { arguments: [INT, POINTER, SIZE], return: INT },
});

const errnoCell = new Int32Array(ffi.toArrayBuffer(libc.__errno_location(), 4, false));

/** The errno that the last call of this thread left, for libraries that make system calls of their own. */
export function lastErrno(): number {
  return errnoCell[0]!;
}

/**
 * The result of a system call that returned `result`: itself, or the negated errno of this thread as the kernel has
 * it. To be applied directly to the call: whatever runs in between may overwrite errno.
 */
export function kernelResult(result: number): number {
  return result === -1 ? -errnoCell[0]! : result;
}
