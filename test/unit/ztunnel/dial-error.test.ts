import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ioErrors } from '../../../src/io/errors.ts';
import { responseFlagOf } from '../../../src/ztunnel/errors.ts';
import { hboneDialError } from '../../../src/ztunnel/proxy/dial-error.ts';
import { address } from '../../support/reactor-harness.ts';

const PEER = address('10.244.2.3:15008');

test('a dial of the HBONE port that timed out names the usual cause, the address, and what happened', () => {
  const timeout = ioErrors.AMBIT_CONNECT_TIMED_OUT('no answer within 10000 ms');
  const error = hboneDialError(timeout, PEER);
  assert.equal(error.code, 'AMBIT_HBONE_DIAL_TIMEOUT');
  assert.match(error.message, /^connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: /);
  assert.match(error.message, /10\.244\.2\.3:15008: no answer within 10000 ms$/);
  assert.equal(error.cause, timeout);
  assert.equal(responseFlagOf(error), 'NETWORK_POLICY');
  assert.equal(error.retryable, true);
});

test('a TLS handshake that timed out is told likewise', () => {
  const timeout = ioErrors.AMBIT_TLS_HANDSHAKE_TIMED_OUT('silence');
  assert.equal(hboneDialError(timeout, PEER).code, 'AMBIT_HBONE_DIAL_TIMEOUT');
});

test('any other failure of a dial stays what it is', () => {
  const refused = ioErrors.AMBIT_CONNECT_REFUSED('refused');
  assert.equal(hboneDialError(refused, PEER), refused);
});
