/** Watches a descriptor from inside Node's own event loop, by a libuv poll handle. */

import { sysErrors } from './errors.ts';
import { ffi, self } from './ffi.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';

const uv = self.getFunctions({
  uv_close: { arguments: ['pointer', 'pointer'], return: 'void' },
  uv_handle_size: { arguments: ['i32'], return: 'u64' },
  uv_poll_init: { arguments: ['pointer', 'pointer', 'i32'], return: 'i32' },
  uv_poll_start: { arguments: ['pointer', 'i32', 'function'], return: 'i32' },
});

/** enum uv_handle_type: UV_POLL; enum uv_poll_event: UV_READABLE. */
const UV_POLL = 8;
const UV_READABLE = 1;

interface Watch {
  readonly memory: NativeBuffer;
  readonly onReadable: () => void;
}

/** By handle address. libuv reads the memory until its close callback has run. */
const watches = new Map<bigint, Watch>();
const closing = new Map<bigint, Watch>();

const pollCallback = self.registerCallback(
  { arguments: ['pointer', 'i32', 'i32'], return: 'void' },
  (handle) => {
    watches.get(handle as bigint)?.onReadable();
  },
);
const closeCallback = self.registerCallback({ arguments: ['pointer'], return: 'void' }, (handle) => {
  closing.delete(handle as bigint);
});

/**
 * Calls `onReadable` from Node's loop, again and again while the descriptor is readable, until the returned function
 * is called. The callback runs outside of Node's own scopes: no promise continues and no exception is handled, so it
 * does little more than ask for a setImmediate().
 */
export function watchReadable(fd: number, onReadable: () => void): () => void {
  const memory = new NativeBuffer(Number(uv.uv_handle_size(UV_POLL)));
  const handle = addressOf(memory);
  check(uv.uv_poll_init(ffi.getCurrentEventLoop(), handle, fd));
  watches.set(handle, { memory, onReadable });
  check(uv.uv_poll_start(handle, UV_READABLE, pollCallback));
  return () => {
    const watch = watches.get(handle);
    if (watch === undefined) return;
    watches.delete(handle);
    closing.set(handle, watch);
    uv.uv_close(handle, closeCallback);
  };
}

function check(result: number): void {
  if (result !== 0) throw sysErrors.AMBIT_RUNTIME_UNSUPPORTED(`libuv refused a poll handle: error ${result}`);
}
