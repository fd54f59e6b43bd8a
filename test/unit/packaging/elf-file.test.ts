/** What the reader of ELF files says is compared with the dynamic loader, and a stripped program is run. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { elfNeeds, withoutSymbols } from '../../../scripts/packaging/elf-file.ts';

test('Node needs a loader and exactly the libraries that the loader finds for it', () => {
  const needs = elfNeeds(readFileSync(process.execPath));
  assert.ok(needs !== undefined);
  assert.match(needs.interpreter ?? '', /\/ld-linux-.*\.so\.\d$/);
  const loaded = execFileSync('ldd', [process.execPath], { encoding: 'utf8' });
  assert.ok(needs.libraries.includes('libc.so.6') && needs.libraries.includes('libstdc++.so.6'));
  for (const library of needs.libraries) assert.ok(loaded.includes(library), `${library} is not loaded`);
});

test('a library has no loader of its own, a script is no ELF file', () => {
  const library = /=> (\/\S+libatomic\.so\.1)/.exec(
    execFileSync('ldd', [process.execPath], { encoding: 'utf8' }),
  );
  assert.equal(elfNeeds(readFileSync(library![1]!))?.interpreter, undefined);
  assert.equal(elfNeeds(Buffer.from(`#!/bin/sh\n${'#'.repeat(100)}\n`)), undefined);
});

test('Node without its symbols is smaller, runs, and still exports what node:ffi looks up', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-elf-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const whole = readFileSync(process.execPath);
  const stripped = withoutSymbols(whole);
  assert.ok(stripped.length <= whole.length);
  const path = join(folder, 'node');
  writeFileSync(path, stripped);
  chmodSync(path, 0o755);
  const script = `
    const { dlopen } = require('node:ffi');
    const { functions } = dlopen(null, { SSL_CTX_new: { arguments: ['pointer'], return: 'pointer' } });
    process.stdout.write(typeof functions.SSL_CTX_new);`;
  const output = execFileSync(path, ['--experimental-ffi', '--no-warnings', '-e', script], {
    encoding: 'utf8',
  });
  assert.equal(output, 'function');
});

test('a file that only looks like ELF ends in an answer or a RangeError', () => {
  const head = Buffer.alloc(64);
  head.writeUInt32BE(0x7f454c46, 0);
  head.set([2, 1], 4);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 58, maxLength: 600 }), (rest) => {
      try {
        elfNeeds(Buffer.concat([head.subarray(0, 6), rest]));
      } catch (thrown) {
        assert.ok(thrown instanceof RangeError, String(thrown));
      }
    }),
  );
});
