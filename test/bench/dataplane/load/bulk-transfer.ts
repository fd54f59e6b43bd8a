/** Moves bytes over a socket as fast as they go, a bounded number of system calls at a time. */

import { ERRNO } from '../../../../src/sys/errno.ts';
import { NativeBuffer } from '../../../../src/sys/native-buffer.ts';
import { readInto, writeFrom } from '../../../../src/sys/sockets.ts';

export const CHUNK_BYTES = 256 * 1024;
/** So that each of many streams has its turn. */
const CALLS_PER_TURN = 8;

/** `more`: there is something left to do now; `blocked`: an event will tell. */
export interface TransferStep {
  readonly bytes: number;
  readonly state: 'more' | 'blocked' | 'ended';
}

export class BulkTransfer {
  readonly #buffer = new NativeBuffer(CHUNK_BYTES);

  read(fd: number): TransferStep {
    return repeat(() => readInto(fd, this.#buffer, 0, CHUNK_BYTES));
  }

  write(fd: number): TransferStep {
    return repeat(() => writeFrom(fd, this.#buffer, 0, CHUNK_BYTES));
  }
}

function repeat(call: () => number): TransferStep {
  let bytes = 0;
  for (let i = 0; i < CALLS_PER_TURN; i++) {
    const result = call();
    if (result === -ERRNO.EAGAIN) return { bytes, state: 'blocked' };
    if (result <= 0) return { bytes, state: 'ended' };
    bytes += result;
  }
  return { bytes, state: 'more' };
}
