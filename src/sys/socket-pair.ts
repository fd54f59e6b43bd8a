/** Two connected stream sockets within this process. */

import { succeeded } from './errno.ts';
import { self } from './ffi.ts';
import * as k from './layouts.ts';
import { kernelResult } from './libc.ts';
import { lastingAddressOf, NativeBuffer } from './native-buffer.ts';

const { socketpair } = self.getFunctions({
  socketpair: { arguments: ['i32', 'i32', 'i32', 'pointer'], return: 'i32' },
});

const ends = new NativeBuffer(8);
const endsPointer = lastingAddressOf(ends);

/** Non-blocking Unix sockets; their descriptors belong to the caller. @throws AMBIT_SYSTEM_CALL_FAILED */
export function openSocketPair(): readonly [number, number] {
  succeeded(
    kernelResult(socketpair(k.AF_UNIX, k.SOCK_STREAM | k.NONBLOCK_CLOEXEC, 0, endsPointer)),
    'socketpair',
  );
  return [ends.view.getInt32(0, true), ends.view.getInt32(4, true)];
}
