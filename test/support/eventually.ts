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

/** How long to leave a process alone between two questions. */
const QUESTION_INTERVAL_MS = 20;

/** The same for a question to another process, one at a time; an answer that fails is one that is not there yet. */
export async function eventuallyAnswers<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  deadlineMs = 10_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let failure: unknown;
  while (performance.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (thrown) {
      failure = thrown;
    }
    await delay(QUESTION_INTERVAL_MS);
  }
  throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: failure });
}
