/** PEM as tools write it, and PEM as it must not be. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { decodeCertificates, decodePem, encodePem } from '../../../src/identity/pem.ts';

const malformed = (thrown: unknown): boolean =>
  thrown instanceof AmbitError && thrown.code === 'AMBIT_PEM_MALFORMED';

test('blocks survive a round trip in order, with text between them', () => {
  const block = fc.record({
    label: fc.constantFrom('CERTIFICATE', 'X509 CRL', 'PRIVATE KEY'),
    der: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  });
  fc.assert(
    fc.property(fc.array(block, { maxLength: 5 }), fc.boolean(), (blocks, dos) => {
      const text = blocks.map((one) => `# a comment\n${encodePem(one.label, one.der)}`).join('\n');
      const read = decodePem(dos ? text.replaceAll('\n', '\r\n') : text);
      assert.deepEqual(
        read.map((one) => [one.label, Buffer.from(one.der)]),
        blocks.map((one) => [one.label, Buffer.from(one.der)]),
      );
    }),
  );
});

test('OpenSSL reads what is written', () => {
  const key = execFileSync('openssl', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  const [block] = decodePem(key.toString());
  const again = encodePem(block!.label, block!.der);
  assert.equal(again, key.toString());
});

test('broken armour is refused', () => {
  const body = Buffer.from('some bytes').toString('base64');
  const cases: Record<string, string> = {
    'no end': `-----BEGIN A-----\n${body}\n`,
    'end of another block': `-----BEGIN A-----\n${body}\n-----END B-----\n`,
    'end without begin': '-----END A-----\n',
    nested: `-----BEGIN A-----\n-----BEGIN B-----\n${body}\n-----END B-----\n-----END A-----\n`,
    empty: '-----BEGIN A-----\n-----END A-----\n',
    'not base64': '-----BEGIN A-----\nna!ve\n-----END A-----\n',
    'cut off': '-----BEGIN A-----\nAAAAA\n-----END A-----\n',
    'padding in the middle': '-----BEGIN A-----\nAA==\nAAAA\n-----END A-----\n',
    'encrypted key': `-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\n${body}\n-----END A-----\n`,
  };
  for (const [name, text] of Object.entries(cases)) assert.throws(() => decodePem(text), malformed, name);
});

test('a private key among certificates is refused', () => {
  const text = encodePem('CERTIFICATE', Uint8Array.of(1)) + encodePem('PRIVATE KEY', Uint8Array.of(2));
  assert.throws(() => decodeCertificates(text), malformed);
});

test('arbitrary text is read or refused, nothing else', () => {
  const piece = fc.constantFrom(
    '-----BEGIN A-----',
    '-----END A-----',
    '\n',
    '\r\n',
    'QUJD',
    '=',
    ' ',
    '-----',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 30 }), (pieces) => {
      try {
        decodePem(pieces.join(''));
      } catch (thrown) {
        assert.ok(malformed(thrown), String(thrown));
      }
    }),
    { numRuns: 1000 },
  );
});
