/** Profiles of a running node proxy, as text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMemoryMap } from '../../bench/dataplane/profile/memory-map.ts';
import { cpuText } from '../../bench/dataplane/profile/profile-text.ts';
import { cpuShares, heapShares } from '../../bench/dataplane/profile/thread-profile.ts';

function frame(functionName: string, url = '', lineNumber = 0) {
  return { functionName, url, lineNumber };
}

const RELAY = frame('onData', 'file:///app/src/hbone/tunnel-relay.ts', 110);

test('time is summed by function, and waiting is none of it', () => {
  const nodes = [
    { callFrame: frame('epoll_wait'), hitCount: 50 },
    { callFrame: RELAY, hitCount: 20 },
    { callFrame: frame('write'), hitCount: 10 },
    { callFrame: RELAY, hitCount: 10 },
    { callFrame: frame('(idle)'), hitCount: 10 },
    { callFrame: frame('', 'node:internal/timers'), hitCount: 0 },
  ];
  const { busy, cpu } = cpuShares({ nodes });
  assert.equal(busy, 0.4);
  assert.deepEqual(cpu, [
    { place: 'onData hbone/tunnel-relay.ts:111', amount: 0.75 },
    { place: 'write', amount: 0.25 },
  ]);
  const text = cpuText('a load', [{ thread: 'reactor-0', busy, cpu, heap: [], usedHeap: 0, totalHeap: 0 }]);
  assert.match(text, /^ 75\.0 % {2}onData hbone\/tunnel-relay\.ts:111$/m);
});

test('memory is summed over the tree of calls', () => {
  const leaf = { callFrame: RELAY, selfSize: 8, children: [] };
  const head = { callFrame: frame('(root)'), selfSize: 0, children: [leaf, { ...leaf, children: [leaf] }] };
  assert.deepEqual(heapShares(head), [{ place: 'onData hbone/tunnel-relay.ts:111', amount: 24 }]);
});

test('mappings of the same file are one part of the memory of a process', () => {
  const mapping = (range: string, path: string, rss: number, anonymous: number) =>
    `${range} r-xp 00000000 fe:00 12 ${path}\nSize: 99 kB\nRss: ${rss} kB\nAnonymous: ${anonymous} kB\n`;
  const text = [
    mapping('5600-5700', '/opt/bin/node', 30, 0),
    mapping('5700-5800', '/opt/bin/node', 10, 4),
    mapping('7f00-7f10', '', 20, 20),
    mapping('7f10-7f20', '[vdso]', 0, 0),
  ].join('');
  assert.deepEqual(parseMemoryMap(text), [
    { name: 'node', resident: 40 * 1024, anonymous: 4 * 1024 },
    { name: '(anonymous)', resident: 20 * 1024, anonymous: 20 * 1024 },
  ]);
});
