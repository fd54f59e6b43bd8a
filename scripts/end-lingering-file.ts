/**
 * Imported before each file of tests: ends one whose tests are over while something still keeps its process alive (what a
 * failed assertion did not get to close, say), and tells what. Otherwise nobody would wait less than the limit of the ring.
 */

import { writeSync } from 'node:fs';
import { after } from 'node:test';
import { isMainThread } from 'node:worker_threads';

/** After the last test, for hooks that take whole sandboxes down. */
const LINGER_MS = Number(process.env.TEST_LINGER_MS ?? 120_000);

/** Not by process.exit(): threads in native calls would not let it. The death by a signal is the failure of the file. */
function end(): void {
  const kept = process.getActiveResourcesInfo().join(', ');
  writeSync(2, `tests: ${process.argv[1]} is over but does not end; there are still: ${kept}\n`);
  process.kill(process.pid, 'SIGKILL');
}

// The runner itself and threads of a file have no tests.
if (process.env.NODE_TEST_CONTEXT !== undefined && isMainThread) {
  after(() => {
    setTimeout(end, LINGER_MS).unref();
  });
}
