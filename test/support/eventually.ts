/** Waits for a condition with a deadline, for tests of things that happen by themselves. */

import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 2;

/** Resolves with the first result that is neither undefined nor false; rejects when the deadline has passed. */
export async function eventually<T>(
  what: string,
  check: () => T | undefined | false,
  deadlineMs = 10_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const result = check();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(POLL_MS);
  }
}
