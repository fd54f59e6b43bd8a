/** Rescans without any notification: what must be found by looking alone. */

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FileReport, FolderFiles } from '../../../src/objects/folder-files.ts';
import { makeFolder } from '../../support/manifest-folder.ts';

/** Later than any quiet time, sooner than what timestamps can tell apart. */
const LATER_MS = 1500;

function contents(reports: readonly FileReport[]): string[] {
  return reports.map((one) => (one.kind === 'content' ? one.text : one.kind));
}

test('edits of the same length, with the same modification time, are found while timestamps may still be the same', (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  const files = new FolderFiles({ folder, onFolder: () => {}, now: () => Date.now() + LATER_MS });
  writeFileSync(path, 'v: 000');
  const { atime, mtime } = statSync(path);
  files.scanAll();
  for (let i = 1; i < 100; i++) {
    const text = `v: ${String(i).padStart(3, '0')}`;
    writeFileSync(path, text);
    utimesSync(path, atime, mtime);
    assert.deepEqual(contents(files.scanAll()), [text]);
  }
  assert.deepEqual(files.scanAll(), []);
});

test('a file that is suspected is read, and told only when its content is another', (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  writeFileSync(path, 'a: 1');
  const files = new FolderFiles({ folder, onFolder: () => {}, now: () => Date.now() + LATER_MS });
  assert.deepEqual(contents(files.scanAll()), ['a: 1']);
  writeFileSync(path, 'a: 1');
  assert.deepEqual(files.scan([path]), []);
});

test('a file is restless while it is young; one that was emptied is so for longer, but not for ever', (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  let now = 0;
  const files = new FolderFiles({ folder, onFolder: () => {}, now: () => now });
  writeFileSync(path, 'a: 1');
  const written = () => statSync(path).mtimeMs;
  now = written() + 5;
  assert.deepEqual([files.scanAll(), files.restless], [[], [path]]);
  now = written() + 20;
  assert.deepEqual([contents(files.scan(files.restless)), files.restless], [['a: 1'], []]);
  truncateSync(path);
  now = written() + 500;
  assert.deepEqual([files.scanAll(), files.restless], [[], [path]]);
  now = written() + 1100;
  assert.deepEqual(contents(files.scanAll()), ['']);
  for (let i = 0; i < 100; i++) {
    writeFileSync(path, `a: ${i}`);
    now = written() + 5 + i * 10;
    if (files.scan([path]).length > 0) return;
  }
  assert.fail('a file that is always written must be read now and then');
});

test('a file that is gone is told of together with the one that is being written in its place', (t) => {
  const folder = makeFolder(t);
  let now = Date.now() + LATER_MS;
  const files = new FolderFiles({ folder, onFolder: () => {}, now: () => now });
  writeFileSync(join(folder, 'a.yaml'), 'a: 1');
  files.scanAll();
  rmSync(join(folder, 'a.yaml'));
  writeFileSync(join(folder, 'b.yaml'), 'a: 1');
  now = statSync(join(folder, 'b.yaml')).mtimeMs;
  assert.deepEqual(files.scanAll(), []);
  now += LATER_MS;
  assert.deepEqual(contents(files.scanAll()).sort(), ['a: 1', 'gone']);
});

test('a file that is too large is refused without being read, whatever was in it before stays', (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  const files = new FolderFiles({ folder, onFolder: () => {}, now: () => Date.now() + LATER_MS });
  writeFileSync(path, 'a: 1');
  files.scanAll();
  truncateSync(path, 65 * 1024 * 1024);
  const reports = files.scanAll();
  assert.deepEqual(
    reports.map((one) => one.kind === 'failed' && one.code),
    ['AMBIT_OBJECTS_FILE_TOO_LARGE'],
  );
  assert.deepEqual(files.scanAll(), [], 'told once');
  writeFileSync(path, 'a: 1');
  assert.deepEqual(contents(files.scanAll()), ['a: 1']);
});

test('every folder is announced before it is looked into', (t) => {
  const folder = makeFolder(t);
  mkdirSync(join(folder, 'x/y'), { recursive: true });
  mkdirSync(join(folder, '.hidden'));
  mkdirSync(join(folder, '.overlay/writer'), { recursive: true });
  const announced: string[] = [];
  new FolderFiles({ folder, onFolder: (path) => announced.push(path.slice(folder.length)) }).scanAll();
  assert.deepEqual(announced.sort(), ['', '/.overlay', '/.overlay/writer', '/x', '/x/y']);
});
