/** What the pool of reactors does without being asked. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepMemorySmall, releaseThreadMemory } from '../../../../src/sys/process-memory.ts';
import { readConfig } from '../../../../src/ztunnel/config.ts';
import { ReactorPool } from '../../../../src/ztunnel/control/reactor-pool.ts';
import { memoryOf } from '../../../bench/dataplane/process-memory.ts';

const HALF_A_MINUTE_MS = 30_000;

/** In MB. */
function anonymous(): number {
  return memoryOf(process.pid).anonymous;
}

test('every half a minute the allocator returns what it holds free between blocks in use', async (t) => {
  keepMemorySmall();
  t.mock.timers.enable({ apis: ['setInterval'] });
  await new ReactorPool().start({ ...readConfig({}), workerThreads: 0 });
  const blocks = Array.from({ length: 2000 }, () => [new Uint8Array(32 * 1024).fill(1), new Uint8Array(512)]);
  const kept = blocks.map(([, small]) => small);
  blocks.length = 0;
  releaseThreadMemory();
  const before = anonymous();
  t.mock.timers.tick(HALF_A_MINUTE_MS - 1);
  const meanwhile = anonymous();
  t.mock.timers.tick(1);
  const after = anonymous();
  assert.ok(meanwhile > before - 8, `${before} MB before, ${meanwhile} a moment earlier`);
  assert.ok(after < before - 34, `${before} MB before, ${after} after`);
  assert.equal(kept.length, 2000);
});
