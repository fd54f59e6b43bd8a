/** Which files of packages an image gets. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { DebianPackage } from '../../../scripts/packaging/debian-packages.ts';
import {
  chooseFiles,
  PROGRAMS,
  withFolders,
  withSkeleton,
} from '../../../scripts/packaging/root-file-system.ts';
import type { TarEntry } from '../../../scripts/packaging/tar-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-root-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function makePackage(name: string, files: Readonly<Record<string, string>>): DebianPackage {
  const root = mkdtempSync(join(folder, `${name}-`));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), join(root, path));
    else writeFileSync(join(root, path), content);
  }
  return { name, version: '1', architecture: 'amd64', folder: root };
}

const programs = makePackage('programs', {
  ...Object.fromEntries(PROGRAMS.map((path) => [path, '#!/bin/sh\n'])),
  'usr/bin/unwanted': 'nobody calls it',
  'usr/share/doc/programs/copyright': 'free',
  'usr/lib/x86_64-linux-gnu/xtables/libxt_tcp.so': 'a module',
});
const unused = makePackage('unused', { 'usr/bin/perl': '#!/bin/sh\n' });

function paths(entries: readonly TarEntry[]): string[] {
  return entries.map((entry) => entry.path);
}

test('programs, modules and licences are chosen, nothing else, and packages without a part in it are not named', () => {
  const { entries, packages } = chooseFiles([programs, unused], 'amd64', []);
  assert.deepEqual(
    packages.map((one) => one.name),
    ['programs'],
  );
  const chosen = paths(entries);
  assert.ok(chosen.includes('usr/lib/x86_64-linux-gnu/xtables/libxt_tcp.so'));
  assert.ok(chosen.includes('usr/share/doc/programs/copyright'));
  assert.ok(!chosen.includes('usr/bin/unwanted'));
});

test('links are followed, and files of an unmerged package lie where a merged system has them', () => {
  const rest = Object.fromEntries(
    PROGRAMS.filter((path) => path !== 'usr/bin/dash').map((path) => [path, '#!']),
  );
  const linked = makePackage('linked', { ...rest, 'bin/dash': '-> shell', 'bin/shell': '#!' });
  const chosen = paths(chooseFiles([linked], 'amd64', []).entries);
  assert.ok(chosen.includes('usr/bin/dash') && chosen.includes('usr/bin/shell'));
});

test('a program or a library that no package holds is named', () => {
  assert.throws(() => chooseFiles([unused], 'amd64', []), /no package holds usr\//);
  assert.throws(() => chooseFiles([programs], 'amd64', [process.execPath]), /no package holds lib/);
});

test('every entry has the folders that it lies in, once', () => {
  const entries = withFolders([
    { kind: 'file', path: 'a/b/c', mode: 0o644, content: new Uint8Array() },
    { kind: 'directory', path: 'a', mode: 0o700 },
  ]);
  assert.deepEqual(paths(entries).sort(), ['a', 'a/b', 'a/b/c']);
  const skeleton = paths(withSkeleton([]));
  assert.equal(new Set(skeleton).size, skeleton.length);
  for (const wanted of ['etc/passwd', 'tmp', 'usr/bin/sh', 'lib'])
    assert.ok(skeleton.includes(wanted), wanted);
});
