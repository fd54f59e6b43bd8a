/** Waiting for a condition with a deadline, and cleaning up in the order of opening. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 15_000;
const STEP_MS = 5;

/** Resolves once the condition holds; fails with the description after the deadline. */
export async function eventually(description: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < end, `did not happen: ${description}`);
    await delay(STEP_MS);
  }
}
