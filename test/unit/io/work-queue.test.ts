import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WorkQueue } from '../../../src/io/work-queue.ts';

const operations = fc.array(
  fc.oneof(fc.constant('add' as const), fc.constant('run' as const), fc.constant('slice' as const)),
  { maxLength: 300 },
);

test('whatever is added is handed out once, first in, first out, however runs and slices follow', () => {
  fc.assert(
    fc.property(operations, (wanted) => {
      const queue = new WorkQueue<number>();
      const taken: number[] = [];
      let added = 0;
      for (const operation of wanted) {
        if (operation === 'add') queue.add(added++);
        else if (operation === 'run') queue.run((item) => taken.push(item));
        else queue.runFor(0, (item) => taken.push(item));
        assert.equal(queue.length, added - taken.length);
      }
      queue.run((item) => taken.push(item));
      assert.deepEqual(taken, [...Array(added).keys()]);
    }),
  );
});

test('what is added while the queue runs waits for the next run', () => {
  const queue = new WorkQueue<number>();
  const taken: number[] = [];
  const take = (item: number) => {
    taken.push(item);
    queue.add(item + 10);
  };
  queue.add(1);
  queue.add(2);
  queue.run(take);
  assert.deepEqual(taken, [1, 2]);
  assert.equal(queue.runFor(1000, take), true);
  assert.deepEqual(taken, [1, 2, 11, 12]);
});

test('a slice without time hands out one item, and says that others are left', () => {
  const queue = new WorkQueue<number>();
  for (const item of [1, 2]) queue.add(item);
  const taken: number[] = [];
  assert.equal(
    queue.runFor(0, (item) => taken.push(item)),
    false,
  );
  assert.equal(
    queue.runFor(0, (item) => taken.push(item)),
    true,
  );
  assert.equal(
    queue.runFor(0, (item) => taken.push(item)),
    true,
  );
  assert.deepEqual(taken, [1, 2]);
});
