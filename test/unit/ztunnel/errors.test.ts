import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import { hboneErrors } from '../../../src/hbone/errors.ts';
import { httpErrors } from '../../../src/http/errors.ts';
import { identityErrors } from '../../../src/identity/errors.ts';
import { ioErrors } from '../../../src/io/errors.ts';
import { meshErrors } from '../../../src/mesh/errors.ts';
import { errors, type ResponseFlag, responseFlagOf } from '../../../src/ztunnel/errors.ts';

const EXAMPLES: readonly (readonly [AmbitError | undefined, ResponseFlag])[] = [
  [undefined, '-'],
  [errors.AMBIT_POLICY_DENIED(''), 'DENY'],
  [errors.AMBIT_POLICY_CHANGED(''), 'DENY'],
  [errors.AMBIT_HBONE_DIAL_TIMEOUT(''), 'NETWORK_POLICY'],
  [errors.AMBIT_TUNNEL_BROKEN(''), 'CONNECT'],
  [errors.AMBIT_POD_REMOVED(''), '-'],
  [errors.AMBIT_DRAIN_DEADLINE(''), '-'],
  [errors.AMBIT_CONNECTION_LIMIT(''), '-'],
  [ioErrors.AMBIT_CONNECT_REFUSED(''), 'CONNECT'],
  [ioErrors.AMBIT_CONNECT_TIMED_OUT(''), 'CONNECT'],
  [ioErrors.AMBIT_CONNECT_UNREACHABLE(''), 'CONNECT'],
  [ioErrors.AMBIT_TLS_HANDSHAKE_FAILED(''), 'TLS_FAILURE'],
  [ioErrors.AMBIT_TLS_PEER_REJECTED(''), 'TLS_FAILURE'],
  [identityErrors.AMBIT_PEER_IDENTITY_MISMATCH(''), 'IDENTITY_ERROR'],
  [identityErrors.AMBIT_PEER_TRUST_DOMAIN(''), 'IDENTITY_ERROR'],
  [identityErrors.AMBIT_IDENTITY_UNAVAILABLE(''), 'IDENTITY_ERROR'],
  [identityErrors.AMBIT_PEER_REVOKED(''), 'CERT_REVOKED'],
  [httpErrors.AMBIT_HTTP2_UPSTREAM_VIOLATION(''), 'H2_HANDSHAKE_FAILURE'],
  [hboneErrors.AMBIT_HBONE_NO_RESPONSE(''), 'CONNECT'],
  [meshErrors.AMBIT_NO_HEALTHY_UPSTREAM(''), 'CONNECT'],
];

for (const [error, flag] of EXAMPLES) {
  test(`${error?.code ?? 'a good end'} shows as ${flag}`, () => assert.equal(responseFlagOf(error), flag));
}

test('whatever ends a connection, its flag is one that dashboards know', () => {
  const flags = [
    '-',
    'DENY',
    'CONNECT',
    'TLS_FAILURE',
    'H2_HANDSHAKE_FAILURE',
    'NETWORK_POLICY',
    'IDENTITY_ERROR',
    'CERT_REVOKED',
  ];
  for (const catalogue of [errors, ioErrors, identityErrors, httpErrors, hboneErrors, meshErrors]) {
    for (const [code, make] of Object.entries(catalogue))
      assert.ok(flags.includes(responseFlagOf(make(''))), code);
  }
});
