/** Names of error numbers and errors made of them. */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import { ERRNO, errnoName, succeeded, systemError } from '../../../src/sys/errno.ts';

test('the numbers of the table are those of this machine', () => {
  for (const [name, number] of Object.entries(ERRNO)) {
    const known = (constants.errno as Record<string, number>)[name];
    if (known !== undefined) assert.equal(number, known, name);
    // EAGAIN and EWOULDBLOCK are one number with two names.
    assert.equal(errnoName(number), name);
  }
});

test('a number has one name, whatever its sign, and an unknown one is told as a number', () => {
  assert.equal(errnoName(-ERRNO.ECONNREFUSED), 'ECONNREFUSED');
  assert.equal(errnoName(98765), 'errno 98765');
});

test('a failed call becomes an error that names the action, the errno and carries the number', () => {
  assert.equal(succeeded(5, 'read'), 5);
  assert.throws(
    () => succeeded(-ERRNO.EACCES, 'open the door'),
    (error: AmbitError) =>
      error.code === 'AMBIT_SYSTEM_CALL_FAILED' &&
      error.message === 'open the door: EACCES' &&
      (error.cause as { errno: number }).errno === ERRNO.EACCES,
  );
  assert.match(systemError('x', -ERRNO.EPERM).message, /EPERM/);
});
