/** Tokens that an API server verifies: whose they are, what is remembered for how long, what never reaches the server. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ACCEPTED_FOR_MS,
  MAX_ANSWERS,
  MAX_REVIEWS,
  REFUSED_FOR_MS,
  type TokenReviewStatus,
  TokenReviewVerifier,
} from '../../../../src/controlplane/ca/token-review-verifier.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { wholeSeconds } from '../../identity/authorities.ts';

const HOUR_SECONDS = 3600;
const invalid = { code: 'AMBIT_CALLER_TOKEN_INVALID' };
const unverified = { code: 'AMBIT_CALLER_TOKEN_UNVERIFIED' };
const ACCEPTED: TokenReviewStatus = {
  authenticated: true,
  audiences: ['ambit-ca'],
  user: {
    username: 'system:serviceaccount:ambit-system:ambit-ztunnel',
    extra: {
      'authentication.kubernetes.io/pod-name': ['ambit-ztunnel-x7k2p'],
      'authentication.kubernetes.io/pod-uid': ['0b0f6c6e'],
    },
  },
};
const CALLER = {
  namespace: 'ambit-system',
  serviceAccount: 'ambit-ztunnel',
  podName: 'ambit-ztunnel-x7k2p',
  podUid: '0b0f6c6e',
};

class Bench {
  readonly clock = new ManualClock(wholeSeconds());
  readonly asked: { readonly token: string; readonly audiences: readonly string[] }[] = [];
  answer: () => Promise<TokenReviewStatus> = async () => ACCEPTED;
  readonly verifier = new TokenReviewVerifier({
    clock: this.clock,
    review: (token, audiences) => {
      this.asked.push({ token, audiences });
      return this.answer();
    },
  });

  /** A token as it looks from outside; its signature is the API server's business. */
  token(claims: Record<string, unknown> = {}): string {
    const nowSeconds = this.clock.nowMs() / 1000;
    const all = { aud: ['ambit-ca'], exp: nowSeconds + HOUR_SECONDS, ...claims };
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'RS256' })}.${part(all)}.c2lnbmF0dXJl`;
  }
}

test('an accepted token names the account and the pod it is bound to', async () => {
  const bench = new Bench();
  const token = bench.token();
  assert.deepEqual(await bench.verifier.verify(token), CALLER);
  assert.deepEqual(bench.asked, [{ token, audiences: ['ambit-ca', 'istio-ca'] }]);
});

test("the audience of Istio's proxies is accepted as well", async () => {
  const bench = new Bench();
  bench.answer = async () => ({ ...ACCEPTED, audiences: ['istio-ca'] });
  assert.deepEqual(await bench.verifier.verify(bench.token({ aud: 'istio-ca' })), CALLER);
});

test('a token without a pod names the account alone', async () => {
  const bench = new Bench();
  bench.answer = async () => ({ ...ACCEPTED, user: { username: ACCEPTED.user!.username! } });
  const caller = await bench.verifier.verify(bench.token());
  assert.deepEqual(caller, { ...CALLER, podName: undefined, podUid: undefined });
});

test('an accepted token is asked about once a minute, and never beyond its expiry', async () => {
  const bench = new Bench();
  const token = bench.token();
  await Promise.all([1, 2, 3].map(() => bench.verifier.verify(token)));
  await bench.clock.advance(ACCEPTED_FOR_MS - 1);
  await bench.verifier.verify(token);
  assert.equal(bench.asked.length, 1);
  await bench.clock.advance(1);
  await bench.verifier.verify(token);
  assert.equal(bench.asked.length, 2);

  const brief = bench.token({ exp: bench.clock.nowMs() / 1000 + 10 });
  await bench.verifier.verify(brief);
  await bench.clock.advance(10_000);
  await assert.rejects(bench.verifier.verify(brief), invalid);
  assert.equal(bench.asked.length, 3);
});

test('a refused token is refused from memory for a moment only', async () => {
  const bench = new Bench();
  const token = bench.token();
  bench.answer = async () => ({ authenticated: false, error: 'token has been invalidated' });
  await assert.rejects(bench.verifier.verify(token), { ...invalid, message: /has been invalidated/ });
  await assert.rejects(bench.verifier.verify(token), invalid);
  assert.equal(bench.asked.length, 1);
  bench.answer = async () => ACCEPTED;
  await bench.clock.advance(REFUSED_FOR_MS);
  assert.deepEqual(await bench.verifier.verify(token), CALLER);
});

test('an API server that does not answer is asked again at the next call', async () => {
  const bench = new Bench();
  const token = bench.token();
  bench.answer = async () => Promise.reject(new Error('connection refused'));
  await assert.rejects(bench.verifier.verify(token), { ...unverified, message: /connection refused/ });
  bench.answer = async () => ACCEPTED;
  assert.deepEqual(await bench.verifier.verify(token), CALLER);
  const { accepted, refused, failed } = bench.verifier.counters;
  assert.deepEqual({ accepted, refused, failed }, { accepted: 1, refused: 0, failed: 1 });
});

test('users who are no service account, and answers for other audiences, are refused', async () => {
  const bench = new Bench();
  const answers: TokenReviewStatus[] = [
    {},
    { authenticated: true },
    { ...ACCEPTED, audiences: ['https://kubernetes.default.svc'] },
    { ...ACCEPTED, user: { username: 'system:node:worker-1' } },
    { ...ACCEPTED, user: { username: 'system:serviceaccount:a:b:c' } },
    { ...ACCEPTED, user: {} },
  ];
  for (const [at, answer] of answers.entries()) {
    bench.answer = async () => answer;
    await assert.rejects(bench.verifier.verify(bench.token({ jti: at })), invalid, JSON.stringify(answer));
  }
});

test('what cannot be a token for this mesh does not reach the API server', async () => {
  const bench = new Bench();
  const expired = bench.clock.nowMs() / 1000 - 1;
  const cases = [
    { aud: ['vault'] },
    { aud: undefined },
    { exp: expired },
    { exp: undefined },
    { exp: 'soon' },
  ];
  for (const claims of cases) await assert.rejects(bench.verifier.verify(bench.token(claims)), invalid);
  await assert.rejects(bench.verifier.verify('a'.repeat(100_000)), invalid);
  await fc.assert(
    fc.asyncProperty(fc.string(), async (text) => assert.rejects(bench.verifier.verify(text), invalid)),
  );
  assert.equal(bench.asked.length, 0);
});

test('a flood of tokens neither floods the API server nor fills the memory', async () => {
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<TokenReviewStatus>();
  bench.answer = () => promise;
  const first = Array.from({ length: MAX_REVIEWS }, (_, at) =>
    bench.verifier.verify(bench.token({ jti: at })),
  );
  await assert.rejects(bench.verifier.verify(bench.token({ jti: 'late' })), unverified);
  resolve(ACCEPTED);
  await Promise.all(first);
  for (let at = 0; at < MAX_ANSWERS; at++) await bench.verifier.verify(bench.token({ jti: `b${at}` }));
  const before = bench.asked.length;
  await bench.verifier.verify(bench.token({ jti: 0 }));
  await bench.verifier.verify(bench.token({ jti: `b${MAX_ANSWERS - 1}` }));
  assert.equal(bench.asked.length, before + 1);
  const { busy, forgotten } = bench.verifier.counters;
  assert.deepEqual({ busy, forgotten }, { busy: 1, forgotten: MAX_REVIEWS + 1 });
});
