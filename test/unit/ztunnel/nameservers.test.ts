import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { readNameservers } from '../../../src/ztunnel/control/nameservers.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-nameservers-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function nameserversOf(text: string): readonly string[] {
  const path = join(folder, 'resolv.conf');
  writeFileSync(path, text);
  return readNameservers(path);
}

test('nameservers come in the order of the file, of both families, three of them at most', () => {
  const text = 'search a.b\nnameserver 10.0.0.2\nnameserver\tfd00::53\noptions ndots:5\n';
  assert.deepEqual(nameserversOf(text), ['10.0.0.2', 'fd00::53']);
  const many = [1, 2, 3, 4].map((n) => `nameserver 10.0.0.${n}\n`).join('');
  assert.deepEqual(nameserversOf(many), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
});

test('comments, other words and addresses that are none are passed over', () => {
  const text =
    '# nameserver 10.0.0.1\n;nameserver 10.0.0.2\nnameserver dns.example\nnameserver 10.0.0.3 # ours\n';
  assert.deepEqual(nameserversOf(text), ['10.0.0.3']);
});

test('a line without an address does not swallow the next one', () => {
  assert.deepEqual(nameserversOf('nameserver\nnameserver 10.0.0.1\n'), ['10.0.0.1']);
  assert.deepEqual(nameserversOf('nameserver \n10.0.0.1\n'), []);
});

test('there are none where there is no file', () => {
  assert.deepEqual(readNameservers(join(folder, 'missing')), []);
  assert.deepEqual(readNameservers(folder), []);
});

test('whatever the file holds, at most three addresses come out of it', () => {
  const line = fc.oneof(
    fc.string(),
    fc.ipV4().map((ip) => `nameserver ${ip}`),
    fc.ipV6().map((ip) => `nameserver ${ip}`),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      assert.ok(nameserversOf(lines.join('\n')).length <= 3);
    }),
  );
});
