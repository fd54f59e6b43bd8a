/** Files as they come, change and go. */

import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { WATCH_INTERVAL_MS, WatchedFiles } from '../../../src/identity/watched-files.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-watch-'));
after(() => rmSync(folder, { recursive: true }));

test('appearing, replacing, rewriting and vanishing are noticed once each, and nothing else is', async () => {
  const clock = new ManualClock(0);
  const path = join(folder, 'a');
  let changes = 0;
  const files = new WatchedFiles([path, join(folder, 'b')], clock, () => changes++);
  files.start();
  const expect = async (count: number, step: string): Promise<void> => {
    await clock.advance(3 * WATCH_INTERVAL_MS);
    assert.equal(changes, count, step);
  };
  await expect(0, 'nothing there');
  writeFileSync(path, 'one');
  await expect(1, 'appeared');
  writeFileSync(join(folder, 'next'), 'two');
  renameSync(join(folder, 'next'), path);
  await expect(2, 'replaced');
  writeFileSync(path, 'tri');
  utimesSync(path, 1, 1);
  await expect(3, 'rewritten in place');
  rmSync(path);
  await expect(4, 'vanished');
  files.close();
  assert.equal(clock.pending, 0);
});

test('what is replaced between the first look and the start is noticed', async () => {
  const clock = new ManualClock(0);
  let changes = 0;
  const files = new WatchedFiles([join(folder, 'c')], clock, () => changes++);
  writeFileSync(join(folder, 'c'), 'new');
  files.start();
  await clock.advance(WATCH_INTERVAL_MS);
  assert.equal(changes, 1);
  files.close();
});
