/** The page that explains every setting. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsTable } from '../../../scripts/settings-table.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/install.md'), 'utf8');

test('docs/install.md has the table of all settings as `make errors-page` writes it', () => {
  assert.ok(PAGE.includes(`<!-- settings -->\n${settingsTable()}<!-- end of settings -->\n`));
});
