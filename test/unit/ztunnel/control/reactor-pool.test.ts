/** What the pool of reactors does without being asked. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { keepMemorySmall, releaseThreadMemory } from '../../../../src/sys/process-memory.ts';
import { readConfig } from '../../../../src/ztunnel/config.ts';
import { ReactorPool } from '../../../../src/ztunnel/control/reactor-pool.ts';

const HALF_A_MINUTE_MS = 30_000;
const KIB = 1024;

function anonymousKib(): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

test('every half a minute the allocator returns what it holds free between blocks in use', async (t) => {
  keepMemorySmall();
  t.mock.timers.enable({ apis: ['setInterval'] });
  await new ReactorPool().start({ ...readConfig({}), workerThreads: 0 });
  const blocks = Array.from({ length: 2000 }, () => [new Uint8Array(32 * KIB).fill(1), new Uint8Array(512)]);
  const kept = blocks.map(([, small]) => small);
  blocks.length = 0;
  releaseThreadMemory();
  const before = anonymousKib();
  t.mock.timers.tick(HALF_A_MINUTE_MS - 1);
  const meanwhile = anonymousKib();
  t.mock.timers.tick(1);
  const after = anonymousKib();
  assert.ok(meanwhile > before - 8 * KIB, `${before} KiB before, ${meanwhile} a moment earlier`);
  assert.ok(after < before - 32 * KIB, `${before} KiB before, ${after} after`);
  assert.equal(kept.length, 2000);
});
