/** Ends the process without running V8's teardown, which may crash while native calls are being compiled. */

import { isMainThread } from 'node:worker_threads';
import { flushLog } from '../telemetry/log.ts';
import { self } from './ffi.ts';

const leave = self.getFunction('_exit', { arguments: ['i32'], return: 'void' });

let fatalException = false;

/**
 * Ends the process. In the main thread `exit` listeners run first, as with process.exit(); a worker ends the whole
 * process at once, since ending a thread that made native calls is not safe.
 */
export function exitProcess(code: number): never {
  if (isMainThread) process.exit(code);
  flushLog();
  leave(code);
  throw new Error('_exit returned');
}

/**
 * The last thing a process does on its own account. Natural teardown frees call metadata that a background compile
 * job may still read, so it is skipped: by then standard output and error, which are synchronous, are written.
 */
function leaveWithoutTeardown(this: unknown, code: number): void {
  const listeners = process.rawListeners('exit');
  for (const listener of listeners.slice(listeners.indexOf(leaveWithoutTeardown) + 1)) {
    Reflect.apply(listener, process, [code]);
  }
  flushLog();
  if (fatalException || profilerWritesAtTeardown()) return;
  leave(Number(process.exitCode ?? code));
}

/** Node prints a fatal exception only after the `exit` listeners, so it must be let go on. */
function noteFatalException(): void {
  fatalException = process.listenerCount('uncaughtException') === 0;
}

function profilerWritesAtTeardown(): boolean {
  return (
    process.env.NODE_V8_COVERAGE !== undefined ||
    process.execArgv.some((flag) => /^--(cpu|heap)-prof$/.test(flag))
  );
}

if (isMainThread) {
  process.on('exit', leaveWithoutTeardown);
  process.on('uncaughtExceptionMonitor', noteFatalException);
}
