import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Identified, IdMap } from '../../../src/base/id-map.ts';

test('objects are found by number however they come and go', () => {
  // Multiples of 16 have one home in a small table.
  const id = fc.oneof(
    fc.nat(40),
    fc.nat(40).map((n) => n * 16),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(id, fc.boolean())), (steps) => {
      const map = new IdMap<Identified>();
      const model = new Map<number, Identified>();
      for (const [number, isAddition] of steps) {
        if (!isAddition) assert.equal(map.delete(number), model.delete(number));
        else if (!model.has(number)) {
          const item = { id: number };
          map.add(item);
          model.set(number, item);
        }
        assert.equal(map.size, model.size);
        assert.equal(map.get(number), model.get(number));
      }
      for (let one = 0; one <= 640; one++) assert.equal(map.get(one), model.get(one));
      assert.deepEqual(
        map.values(),
        [...model.values()].sort((a, b) => a.id - b.id),
      );
    }),
  );
});
