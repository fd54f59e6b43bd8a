/** Pipes that splice(2) moves bytes through without copying them into this process. */

import { succeeded } from './errno.ts';
import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { lastingAddressOf, NativeBuffer } from './native-buffer.ts';

/** What one pipe holds, in bytes. An unprivileged user may have 64 MiB of such pipes (pipe-user-pages-soft). */
const PIPE_SIZE = 256 * 1024;
/** Empty pipes that are kept. */
const MAX_FREE = 8;

const ends = new NativeBuffer(8);
const endsPointer = lastingAddressOf(ends);
const free: Pipe[] = [];

export class Pipe {
  /** Bytes inside. */
  pending = 0;
  readonly #readEnd: number;
  readonly #writeEnd: number;

  /** @throws AMBIT_SYSTEM_CALL_FAILED */
  constructor() {
    succeeded(kernelResult(libc.pipe2(endsPointer, k.NONBLOCK_CLOEXEC)), 'pipe2');
    this.#readEnd = ends.view.getInt32(0, true);
    this.#writeEnd = ends.view.getInt32(4, true);
    // Where the limit is reached the pipe stays at 64 KiB, which works as well.
    libc.fcntl(this.#writeEnd, k.F_SETPIPE_SZ, PIPE_SIZE);
  }

  /** Moves what has arrived at a socket into the empty pipe: bytes, 0 at the end, or a negated errno. */
  fillFrom(fd: number): number {
    const count = kernelResult(libc.splice(fd, 0n, this.#writeEnd, 0n, BigInt(PIPE_SIZE), FLAGS));
    if (count > 0) this.pending += count;
    return count;
  }

  /** Moves what is inside to a socket, perhaps not all: bytes, or a negated errno. */
  drainTo(fd: number): number {
    const count = kernelResult(libc.splice(this.#readEnd, 0n, fd, 0n, BigInt(this.pending), FLAGS));
    if (count > 0) this.pending -= count;
    return count;
  }

  close(): void {
    libc.close(this.#readEnd);
    libc.close(this.#writeEnd);
  }
}

const FLAGS = k.SPLICE_F_MOVE | k.SPLICE_F_NONBLOCK;

/** An empty pipe of this thread's. @throws AMBIT_SYSTEM_CALL_FAILED */
export function acquirePipe(): Pipe {
  return free.pop() ?? new Pipe();
}

/** Takes a pipe back; one with bytes inside is of no use to anybody else. */
export function releasePipe(pipe: Pipe): void {
  if (pipe.pending === 0 && free.length < MAX_FREE) free.push(pipe);
  else pipe.close();
}
