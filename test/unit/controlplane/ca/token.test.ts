/** Service account tokens: minted ones are accepted, everything else is refused under one code. */

import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { mintToken, type TokenOptions } from '../../../../src/controlplane/ca/mint-token.ts';
import { StaticKeyTokenVerifier } from '../../../../src/controlplane/ca/static-key-token-verifier.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { wholeSeconds } from '../../identity/authorities.ts';

function keyPair(namedCurve = 'P-256'): { readonly privateKeyPem: string; readonly publicKeyPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

const keys = keyPair();
const clock = new ManualClock(wholeSeconds());
const verifier = new StaticKeyTokenVerifier({ publicKeyPem: keys.publicKeyPem, clock });
const POD = { name: 'ztunnel-x7k2p', uid: '0b0f6c6e-5a0f-4c3f-8a65-5a2b8e2d9b11', node: 'node-1' };
const SUBJECT = { namespace: 'ambit-system', serviceAccount: 'ztunnel', pod: POD };
const CALLER = { namespace: 'ambit-system', serviceAccount: 'ztunnel', podName: POD.name, podUid: POD.uid };
const refused = { code: 'AMBIT_CALLER_TOKEN_INVALID' };

function mint(
  options: TokenOptions = {},
  subject: Parameters<typeof mintToken>[1] = SUBJECT,
): Promise<string> {
  return mintToken(keys.privateKeyPem, subject, { clock, ...options });
}

/** A token with exactly these claims, properly signed. */
function signed(claims: Record<string, unknown>): Promise<string> {
  const nowSeconds = clock.nowMs() / 1000;
  const usual = {
    sub: 'system:serviceaccount:ambit-system:ztunnel',
    aud: ['istio-ca'],
    exp: nowSeconds + 600,
    'kubernetes.io': { namespace: 'ambit-system', serviceaccount: { name: 'ztunnel', uid: 'x' } },
  };
  return new SignJWT({ ...usual, ...claims })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(createPrivateKey(keys.privateKeyPem));
}

test('a minted token names the account and the pod it is bound to', async () => {
  assert.deepEqual(await verifier.verify(await mint()), CALLER);
});

test('a token without a pod names the account alone', async () => {
  const { pod: _, ...account } = SUBJECT;
  const caller = await verifier.verify(await mint({}, account));
  assert.deepEqual(caller, { ...CALLER, podName: undefined, podUid: undefined });
});

test('the public key is read from a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-token-'));
  const path = join(folder, 'key.pem');
  writeFileSync(path, keys.publicKeyPem);
  assert.deepEqual(await StaticKeyTokenVerifier.fromFile(path, { clock }).verify(await mint()), CALLER);
  rmSync(folder, { recursive: true });
});

test('another audience is refused, unless it is the configured one', async () => {
  const token = await mint({ audience: 'vault' });
  await assert.rejects(verifier.verify(token), refused);
  const other = new StaticKeyTokenVerifier({ publicKeyPem: keys.publicKeyPem, audience: 'vault', clock });
  assert.deepEqual(await other.verify(token), CALLER);
});

test('an expired token, one from the future and one without expiry are refused', async () => {
  const early = new ManualClock(clock.nowMs() - 3_600_000);
  const late = new ManualClock(clock.nowMs() + 3_600_000);
  await assert.rejects(verifier.verify(await mint({ ttlSeconds: 600, clock: early })), refused);
  await assert.rejects(verifier.verify(await mint({ clock: late })), refused);
  await assert.rejects(verifier.verify(await signed({ exp: undefined })), refused);
  assert.ok(await verifier.verify(await signed({})));
});

test('another key, another algorithm and no signature are refused', async () => {
  const stranger = await mintToken(keyPair().privateKeyPem, SUBJECT, { clock });
  await assert.rejects(verifier.verify(stranger), refused);
  const [, payload] = (await mint()).split('.');
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  await assert.rejects(verifier.verify(`${part({ alg: 'none' })}.${payload}.`), refused);
  const hmac = sign('sha256', Buffer.from('x'), keys.privateKeyPem).toString('base64url');
  for (const alg of ['HS256', 'ES384', 'RS256']) {
    await assert.rejects(verifier.verify(`${part({ alg })}.${payload}.${hmac}`), refused);
  }
});

test('claims that contradict each other or are no names are refused', async () => {
  const bound = { namespace: 'ambit-system', serviceaccount: { name: 'ztunnel' } };
  const cases: Record<string, unknown>[] = [
    { sub: 'system:serviceaccount:kube-system:admin' },
    { sub: undefined },
    { 'kubernetes.io': undefined },
    { 'kubernetes.io': 'ambit-system' },
    { 'kubernetes.io': [] },
    { 'kubernetes.io': { ...bound, serviceaccount: undefined } },
    { 'kubernetes.io': { ...bound, namespace: 7 } },
    { 'kubernetes.io': { ...bound, namespace: 'ambit-system/ns' } },
    { 'kubernetes.io': { ...bound, namespace: '' } },
    { 'kubernetes.io': { ...bound, pod: { name: 'a' } } },
    { 'kubernetes.io': { ...bound, pod: { name: 'a\nb', uid: 'c' } } },
    { 'kubernetes.io': { ...bound, pod: null } },
  ];
  for (const claims of cases) {
    await assert.rejects(verifier.verify(await signed(claims)), refused, JSON.stringify(claims));
  }
});

test('arbitrary text, long text and mutated tokens are refused', async () => {
  const token = await mint();
  await assert.rejects(verifier.verify('a'.repeat(100_000)), refused);
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.nat(token.length - 2), async (text, at) => {
      await assert.rejects(verifier.verify(text), refused);
      const changed = token[at] === 'A' ? 'B' : 'A';
      if (token[at] === '.') return;
      await assert.rejects(verifier.verify(token.slice(0, at) + changed + token.slice(at + 1)), refused);
    }),
    { numRuns: 100 },
  );
});
