/** What is loaded for a command that needs next to nothing: its start is what a person waits for. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../support/ambit-command.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const TELL_LOADED = `data:text/javascript,
  import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) { console.error(url); return next(url, context); } });`;

test('the version of the command is told without the client of the API server, YAML or HTTP', async () => {
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--import',
    TELL_LOADED,
    MAIN,
    'version',
    '--client',
  ];
  const { code, stderr } = await run(process.execPath, args);
  assert.equal(code, 0);
  assert.match(stderr, /src\/cli\/versions\.ts/);
  const packages = [...stderr.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map((match) => match[1]);
  assert.deepEqual([...new Set(packages)], ['commander']);
  assert.doesNotMatch(stderr, /src\/(kube|sandbox|cni|identity)\//);
});
