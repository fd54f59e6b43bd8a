/** Lines of a watch, however they are cut on their way. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineSplitter, MAX_LINE_BYTES } from '../../../src/kube/json-lines.ts';

test('lines come out whole, however the bytes are cut', () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, '').trim());
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(20)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''));
      const splitter = new LineSplitter();
      const found: string[] = [];
      let from = 0;
      for (const length of cuts) {
        found.push(...splitter.push(bytes.subarray(from, from + length)));
        from += length;
      }
      found.push(...splitter.push(bytes.subarray(from)));
      assert.deepEqual(
        found,
        lines.filter((one) => one !== ''),
      );
      assert.equal(splitter.pending, 0);
    }),
  );
});

test('a line that does not end is given up at its limit', () => {
  const splitter = new LineSplitter();
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  for (let length = chunk.length; length <= MAX_LINE_BYTES; length += chunk.length) splitter.push(chunk);
  assert.equal(splitter.pending, MAX_LINE_BYTES);
  assert.throws(() => splitter.push(chunk), { code: 'AMBIT_KUBE_RESPONSE_TOO_LARGE' });
});
