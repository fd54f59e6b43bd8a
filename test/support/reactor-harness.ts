/** Runs a reactor inside a test: it rides in Node's event loop, and conditions are awaited with a deadline. */

import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { SocketAddress } from '../../src/base/ip.ts';
import { parseSocketAddress } from '../../src/base/ip.ts';
import { Reactor, SLICE_MS } from '../../src/io/reactor.ts';

/** Long enough for the slowest machine; a test that waits this long has failed. */
const DEADLINE_MS = 20_000;

/** A reactor that is closed when the test file (or the enclosing suite) is done. */
export function testReactor(): Reactor {
  const reactor = new Reactor();
  reactor.attachToNode();
  after(() => reactor.close());
  return reactor;
}

/** Waits until the condition holds; checks again whenever Node's loop has turned. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `${what} did not come about within ${DEADLINE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The address written as `ip:port` or `[ip]:port`. */
export function address(text: string): SocketAddress {
  const parsed = parseSocketAddress(text);
  assert.ok(parsed !== undefined, `${text} is not a socket address`);
  return parsed;
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise: within(promise), resolve };
}

/** The same promise, rejected when it takes too long. */
export function within<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing came within ${DEADLINE_MS} ms`)), DEADLINE_MS);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Long work that leaves nothing of a turn's slice. */
export function useUpSlice(): void {
  const endMs = performance.now() + 2 * SLICE_MS;
  while (performance.now() < endMs);
}
