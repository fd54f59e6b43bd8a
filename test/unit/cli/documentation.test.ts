/** The page that describes the commands. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createProgram } from '../../../src/cli/program.ts';

test('docs/cli.md has a section for every command', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/cli.md'), 'utf8');
  const missing = createProgram()
    .commands.map((command) => command.name())
    .filter((name) => !page.includes(`\n## ambit ${name}\n`));
  assert.deepEqual(missing, []);
});
