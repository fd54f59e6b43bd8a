/** How large the kernel's table of a process's descriptors is. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = new URL('../../../src/sys/descriptor-table.ts', import.meta.url).href;
const SCRIPT = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { reserveDescriptors } from '${MODULE}';
  const size = () => Number(/^FDSize:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
  const open = () => readdirSync('/proc/self/fd').length;
  const before = { size: size(), open: open() };
  reserveDescriptors();
  console.log(JSON.stringify({ before, after: { size: size(), open: open() } }));
`;

/** What a process with that limit has before and after it reserves descriptors. */
function reserve(limit: number) {
  const node = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--input-type=module',
    '-e',
    SCRIPT,
  ];
  return JSON.parse(
    execFileSync('prlimit', [`--nofile=${limit}`, ...node], { encoding: 'utf8', timeout: 60_000 }),
  );
}

test('there is room for half as many descriptors as the process may have, at least, and none is open for it', () => {
  for (const [limit, size] of [
    [2_000, 1_024],
    [12_000, 8_192],
  ] as const) {
    const { before, after } = reserve(limit);
    assert.ok(before.size < size, `${before.size} before`);
    assert.deepEqual(after, { size, open: before.open });
  }
});
