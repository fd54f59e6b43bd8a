/** Archives are judged by the system's tar, and by their digest: the same entries give the same bytes. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type TarEntry, tarParts, writeTar } from '../../../scripts/packaging/tar-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-tar-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function unpack(name: string, entries: readonly TarEntry[]): string {
  const target = mkdtempSync(join(folder, name));
  writeTar(join(target, 'archive.tar'), entries);
  execFileSync('tar', ['-xpf', join(target, 'archive.tar'), '-C', target]);
  return target;
}

test('tar unpacks files with their content and mode, folders and links', () => {
  const source = join(folder, 'source');
  writeFileSync(source, 'from a file');
  const target = unpack('kinds', [
    { kind: 'file', path: 'usr/bin/program', mode: 0o755, content: source },
    { kind: 'file', path: 'empty', mode: 0o600, content: new Uint8Array() },
    { kind: 'directory', path: 'usr' },
    { kind: 'directory', path: 'usr/bin' },
    { kind: 'directory', path: 'tmp', mode: 0o1777 },
    { kind: 'symlink', path: 'bin', target: 'usr/bin' },
  ]);
  assert.equal(readFileSync(join(target, 'bin/program'), 'utf8'), 'from a file');
  assert.equal(statSync(join(target, 'usr/bin/program')).mode & 0o7777, 0o755);
  assert.equal(statSync(join(target, 'empty')).mode & 0o7777, 0o600);
  assert.equal(statSync(join(target, 'tmp')).mode & 0o7777, 0o1777);
  assert.equal(readlinkSync(join(target, 'bin')), 'usr/bin');
  assert.equal(statSync(join(target, 'empty')).mtimeMs, 0);
});

test('the order of the entries does not change the archive, and the digest is that of the file', () => {
  const entries: TarEntry[] = ['b', 'a', 'c'].map((path) => ({
    kind: 'file',
    path,
    mode: 0o644,
    content: Buffer.from(path),
  }));
  const [one, other] = [join(folder, 'one.tar'), join(folder, 'other.tar')];
  const digest = writeTar(one, entries);
  assert.equal(writeTar(other, entries.toReversed()), digest);
  assert.equal(createHash('sha256').update(readFileSync(one)).digest('hex'), digest);
});

test('a path that appears twice, or that the format cannot hold, is refused', () => {
  const file = (path: string): TarEntry => ({ kind: 'file', path, mode: 0o644, content: new Uint8Array() });
  assert.throws(() => [...tarParts([file('a'), file('a')])], /a is twice/);
  assert.throws(() => [...tarParts([file('x'.repeat(101))])], /too long/);
  assert.throws(() => [...tarParts([{ kind: 'symlink', path: 'l', target: 'x'.repeat(101) }])], /too long/);
});

test('every path that fits comes out of tar as it went in, with all of its bytes', () => {
  const segment = fc
    .stringMatching(/^[a-z0-9._-]{1,40}$/)
    .filter((name) => !/^\.+$/.test(name) && name[0] !== '-');
  const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
  fc.assert(
    fc.property(path, fc.uint8Array({ maxLength: 2000 }), (name, content) => {
      const archive = Buffer.concat([...tarParts([{ kind: 'file', path: name, mode: 0o644, content }])]);
      assert.equal(archive.length % 512, 0);
      const listed = execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' });
      assert.equal(listed, `${name}\n`);
      assert.deepEqual(execFileSync('tar', ['-xOf', '-'], { input: archive }), Buffer.from(content));
    }),
    { numRuns: 30 },
  );
});
