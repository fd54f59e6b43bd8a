/** The page that explains every check. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkTable } from '../../../../src/cli/check/check-table.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../../docs/troubleshooting.md'), 'utf8');

test('docs/troubleshooting.md has the table of all checks as `make errors-page` writes it', () => {
  assert.ok(PAGE.includes(`<!-- checks -->\n${checkTable()}<!-- end of checks -->\n`));
});

test('no two checks have the same code', () => {
  const codes = [...checkTable().matchAll(/`(AMBIT_CHECK_[A-Z_]+)` \|/g)].map((match) => match[1]);
  assert.ok(codes.length > 20);
  assert.equal(new Set(codes).size, codes.length);
});
