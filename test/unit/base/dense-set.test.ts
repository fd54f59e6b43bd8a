import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DenseSet } from '../../../src/base/dense-set.ts';

test('a dense set holds what was added and not deleted since', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (steps) => {
      const items = Array.from({ length: 10 }, () => ({ place: -1 }));
      const set = new DenseSet<{ place: number }>();
      const model = new Set<{ place: number }>();
      for (const step of steps) {
        const item = items[step]!;
        if (model.delete(item)) assert.equal(set.delete(item), true);
        else {
          assert.equal(set.delete(item), false);
          set.add(item);
          model.add(item);
        }
        assert.equal(set.size, model.size);
        assert.deepEqual(new Set(set), model);
      }
    }),
  );
});
