import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError, errorCatalogue, messageOf } from '../../../src/base/errors.ts';

const catalogue = errorCatalogue({
  AMBIT_TEST_LOST: { side: 'upstream', retryable: true, hint: 'Look for it.' },
  AMBIT_TEST_WRONG: { side: 'config', hint: 'Put it right.' },
});

test('an error of a catalogue has its code, side and hint, and its own message', () => {
  const error = catalogue.AMBIT_TEST_LOST('the peer of shop/web was lost');
  assert.ok(error instanceof AmbitError && error instanceof Error);
  const { name, message, code, side, retryable, hint } = error;
  assert.deepEqual(
    { name, message, code, side, retryable, hint },
    {
      name: 'AmbitError',
      message: 'the peer of shop/web was lost',
      code: 'AMBIT_TEST_LOST',
      side: 'upstream',
      retryable: true,
      hint: 'Look for it.',
    },
  );
});

test('an error is not worth another attempt unless its catalogue says so', () => {
  assert.equal(catalogue.AMBIT_TEST_WRONG('x').retryable, false);
});

test('the cause is kept where there is one, and there is none otherwise', () => {
  const cause = new Error('ECONNRESET');
  assert.equal(catalogue.AMBIT_TEST_LOST('x', cause).cause, cause);
  assert.equal('cause' in catalogue.AMBIT_TEST_LOST('x'), false);
});

test('an error shows in a stack under its name and message', () => {
  assert.match(catalogue.AMBIT_TEST_LOST('gone').stack!, /gone\n {4}at /);
});

test('the text of whatever was thrown is its message, or what it looks like', () => {
  assert.equal(messageOf(new Error('words')), 'words');
  assert.equal(messageOf(catalogue.AMBIT_TEST_WRONG('ours')), 'ours');
  assert.equal(messageOf('text'), 'text');
  assert.equal(messageOf(undefined), 'undefined');
  assert.equal(messageOf(null), 'null');
  assert.equal(messageOf(7), '7');
});
