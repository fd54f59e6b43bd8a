/** The threat model of docs/security.md: each of its claims is shown by tests that are there. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ALL_DRILLS } from '../../attack/drills.ts';

const PAGE = new URL('../../../docs/security.md', import.meta.url);
const text = readFileSync(PAGE, 'utf8');
const model = text.slice(text.indexOf('## Threat model'), text.indexOf('### Attacks'));
/** The last table: who, can, cannot, shown by. */
const rows = model
  .slice(model.indexOf('| who | can |'))
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(1);
const PARTS = [
  'network',
  'pod of the mesh',
  'ztunnel',
  'node agent',
  'a node',
  'control plane',
  'CA key',
  'xDS stream',
  'registry',
  'policies',
];

test('every part that may be taken over has a row', () => {
  const names = rows.map((row) => row.split('|')[1]!);
  assert.deepEqual(
    PARTS.filter((part) => !names.some((name) => name.includes(part))),
    [],
  );
});

test('every row names tests that show it', () => {
  const bare = rows.filter((row) => !/\]\(\.\.\/test\/[\w/.-]+\.test\.ts\)/.test(row));
  assert.deepEqual(bare, []);
});

test('every file that the page links is there', () => {
  const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!);
  const files = links.filter((link) => !link.includes('://'));
  assert.ok(files.length > 20);
  assert.deepEqual(
    files.filter((link) => !existsSync(new URL(link, PAGE))),
    [],
  );
});

test('every drill is in the table of attacks, and every constant that the table names is one', () => {
  const attacks = text.slice(text.indexOf('### Attacks'), text.indexOf('### Drills'));
  const named = new Set([...attacks.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
  assert.deepEqual(
    ALL_DRILLS.map(({ name }) => name).filter((name) => !named.has(name)),
    [],
  );
  const src = new URL('../../../src/', import.meta.url);
  const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(new URL(path, src), 'utf8'))
    .join('\n');
  const constants = [...named].filter((name) => /^[A-Z][A-Z_]+$/.test(name) && !name.startsWith('AMBIT_'));
  assert.ok(constants.length > 15);
  assert.deepEqual(
    constants.filter((name) => !sources.includes(`const ${name} =`) && !sources.includes(`const ${name}: `)),
    [],
  );
});
