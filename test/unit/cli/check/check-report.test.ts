/** How checks become a report, and a report becomes text. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Check, error, warning } from '../../../../src/cli/check/check.ts';
import { formatReport } from '../../../../src/cli/check/check-printer.ts';
import { makeReport, outcomeIn, runnable } from '../../../../src/cli/check/check-report.ts';

const check = (code: string, wish: Partial<Check<object>> = {}): Check<object> => ({
  code: `AMBIT_CHECK_${code}`,
  claim: `${code} holds`,
  remedy: `mend ${code}`,
  find: () => [],
  ...wish,
});

function section(name: string, ...checks: readonly Check<object>[]) {
  return runnable({ name, checks, collect: async () => ({}) });
}

const never = runnable({
  name: 'later',
  checks: [check('LATER')],
  collect: () => Promise.reject(new Error('must not be collected')),
});

test('a report without errors is a success, whatever it warns of', async () => {
  const report = await makeReport([section('one', check('A'), check('B', { find: () => [warning('hm')] }))]);
  assert.equal(report.success, true);
  assert.deepEqual(
    report.sections[0]?.checks.map(({ result }) => result),
    ['ok', 'warning'],
  );
});

test('after a fatal error nothing is looked at, and each check says why', async () => {
  const fatal = check('FATAL', { isFatal: true, find: () => [error('broken')] });
  const report = await makeReport([section('one', check('A'), fatal, check('B')), never]);
  assert.equal(report.success, false);
  const results = report.sections.flatMap(({ checks }) =>
    checks.map(({ code, result }) => `${code} ${result}`),
  );
  assert.deepEqual(results, [
    'AMBIT_CHECK_A ok',
    'AMBIT_CHECK_FATAL error',
    'AMBIT_CHECK_B skipped',
    'AMBIT_CHECK_LATER skipped',
  ]);
  assert.equal(outcomeIn(report, 'AMBIT_CHECK_LATER')?.reason, 'AMBIT_CHECK_FATAL has to be mended first');
});

test('an error that is not fatal lets the rest be looked at', async () => {
  const report = await makeReport([
    section('one', check('A', { find: () => [error('broken')] }), check('B')),
  ]);
  assert.equal(outcomeIn(report, 'AMBIT_CHECK_B')?.result, 'ok');
});

test('each finding has a remedy: its own, or that of its check', async () => {
  const find = () => [error('a'), error('b', { remedy: 'do that' })];
  const report = await makeReport([section('one', check('A', { find }))]);
  assert.deepEqual(
    outcomeIn(report, 'AMBIT_CHECK_A')?.findings.map(({ remedy }) => remedy),
    ['mend A', 'do that'],
  );
});

const MIXED = [
  section(
    'parts',
    check('GOOD'),
    check('BAD', {
      find: () => [error('is down', { object: 'node/a' }), error('is down', { object: 'node/b' })],
    }),
  ),
  section('fine', check('FINE')),
];

test('the table has a mark for each claim, and below a problem the objects, causes and remedies', async () => {
  const text = await formatReport(await makeReport(MIXED), 'table', process.stdout);
  assert.equal(
    text,
    `parts
  ✓ GOOD holds
  ✗ BAD holds  [AMBIT_CHECK_BAD]
      node/a: is down
      node/b: is down
    → mend BAD

fine
  ✓ FINE holds

1 of 3 checks failed, 0 with warnings
`,
  );
});

test('what was not looked at is one line of each section', async () => {
  const fatal = check('FATAL', { isFatal: true, find: () => [error('broken')] });
  const report = await makeReport([section('one', fatal, check('B'), check('C')), never]);
  const text = await formatReport(report, 'table', process.stdout);
  const reason = 'AMBIT_CHECK_FATAL has to be mended first';
  assert.ok(
    text.includes(`→ mend FATAL\n  – 2 not looked at: ${reason}\n\nlater\n  – 1 not looked at: ${reason}\n`),
  );
  assert.doesNotMatch(await formatReport(report, 'short', process.stdout), /not looked at/);
});

test('the short form has problems alone', async () => {
  const text = await formatReport(await makeReport(MIXED), 'short', process.stdout);
  assert.doesNotMatch(text, /GOOD|fine|FINE/);
  assert.match(text, /✗ BAD holds/);
});

test('JSON is the report as it is', async () => {
  const report = await makeReport(MIXED);
  assert.deepEqual(JSON.parse(await formatReport(report, 'json', process.stdout)), report);
});

test('a check with a great many findings tells the first of them and how many there are', async () => {
  const find = () => Array.from({ length: 50 }, (_, i) => error('is down', { object: `pod/p${i}` }));
  const text = await formatReport(
    await makeReport([section('one', check('A', { find }))]),
    'table',
    process.stdout,
  );
  assert.match(text, /pod\/p19: is down\n {6}and 30 more: see -o json\n/);
  assert.doesNotMatch(text, /pod\/p20/);
});
