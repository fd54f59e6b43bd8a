import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Http2Stream } from '../../../src/http/http2-stream.ts';
import { StreamMap } from '../../../src/http/stream-map.ts';

test('streams are found by identifier however they come and go', () => {
  // Multiples of 16 have one home in a small table.
  const id = fc.oneof(
    fc.nat(40),
    fc.nat(40).map((n) => n * 16),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(id, fc.boolean())), (steps) => {
      const map = new StreamMap();
      const model = new Map<number, Http2Stream>();
      for (const [streamId, isAddition] of steps) {
        if (!isAddition) assert.equal(map.delete(streamId), model.delete(streamId));
        else if (!model.has(streamId)) {
          const stream = { id: streamId } as Http2Stream;
          map.add(stream);
          model.set(streamId, stream);
        }
        assert.equal(map.size, model.size);
        assert.equal(map.get(streamId), model.get(streamId));
      }
      for (let one = 0; one <= 640; one++) assert.equal(map.get(one), model.get(one));
      assert.deepEqual(
        map.values(),
        [...model.values()].sort((a, b) => a.id - b.id),
      );
    }),
  );
});
