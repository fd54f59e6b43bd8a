import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { contextHandle, TlsContext } from '../../../src/sys/tls-context.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { responseFlagOf } from '../../../src/ztunnel/errors.ts';
import { RETIRED_CONTEXT_MS } from '../../../src/ztunnel/proxy/limits.ts';
import type { IdentityMaterial, IdentityUnavailable } from '../../../src/ztunnel/proxy/messages.ts';
import { type ContextPair, MAX_WAITERS, TlsContexts } from '../../../src/ztunnel/proxy/tls-contexts.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';
import { ManualReactor } from './manual-reactor.ts';

setLogLevels('tls=off');
const WEB = 'spiffe://cluster.local/ns/shop/sa/web';
const CART = 'spiffe://cluster.local/ns/shop/sa/cart';
const root = makeRoot('mesh');
const leaf = makeLeaf(root, { spiffeId: WEB });

function material(identity = WEB): IdentityMaterial {
  return {
    kind: 'available',
    identity,
    certificateChainPem: leaf.chainPem,
    privateKeyPem: leaf.privateKeyPem,
    trustedRootsPem: root.certificatePem,
  };
}

function unavailable(reason: string, identity = WEB): IdentityUnavailable {
  return { kind: 'unavailable', identity, reason };
}

function bench() {
  const asked: string[] = [];
  const reactor = new ManualReactor();
  const contexts = new TlsContexts(reactor, (identity) => asked.push(identity));
  const results: (ContextPair | AmbitError)[] = [];
  const want = (identity = WEB) => contexts.withContexts(identity, (result) => results.push(result));
  return { reactor, asked, contexts, results, want };
}

function pairOf(result: ContextPair | AmbitError | undefined): ContextPair {
  assert.ok(result !== undefined && !(result instanceof AmbitError));
  return result;
}

/** Whether a connection could begin with them. */
function isUsable({ client, server }: ContextPair): boolean {
  try {
    return [client, server].every((context) => contextHandle(context) !== 0n);
  } catch {
    return false;
  }
}

function refusalOf(result: ContextPair | AmbitError | undefined): string {
  assert.ok(result instanceof AmbitError);
  assert.equal(result.code, 'AMBIT_IDENTITY_UNAVAILABLE');
  assert.equal(responseFlagOf(result), 'IDENTITY_ERROR');
  return result.message;
}

test('connections of one identity ask once and get the same contexts when they come', () => {
  const { asked, contexts, results, want } = bench();
  want();
  want();
  assert.deepEqual([asked, results], [[WEB], []]);
  contexts.update(material());
  assert.equal(results.length, 2);
  const pair = pairOf(results[0]);
  assert.ok(pair.client instanceof TlsContext && pair.server instanceof TlsContext);
  assert.deepEqual([pair.client.role, pair.server.role], ['client', 'server']);
  assert.equal(results[1], pair);
});

test('contexts that are there are handed over at once, without asking', () => {
  const { asked, contexts, results, want } = bench();
  contexts.update(material());
  want();
  assert.deepEqual(asked, []);
  assert.equal(pairOf(results[0]), contexts.require(WEB));
});

test('a renewed certificate replaces the contexts for all that come after', () => {
  const { contexts, results, want } = bench();
  contexts.update(material());
  want();
  contexts.update(material());
  want();
  assert.notEqual(pairOf(results[0]), pairOf(results[1]));
  assert.equal(contexts.require(WEB), results[1]);
});

test('contexts that were replaced or taken away last for the dials that were given them, and no longer', () => {
  const { reactor, contexts } = bench();
  contexts.update(material());
  const first = contexts.require(WEB);
  contexts.update(material());
  const second = contexts.require(WEB);
  reactor.advance(RETIRED_CONTEXT_MS - 1);
  contexts.update(unavailable('gone'));
  assert.deepEqual([isUsable(first), isUsable(second)], [true, true]);
  reactor.advance(1);
  assert.deepEqual([isUsable(first), isUsable(second)], [false, true]);
  reactor.advance(RETIRED_CONTEXT_MS);
  assert.deepEqual([isUsable(second), reactor.pendingTimers], [false, 0]);
});

test('a certificate that OpenSSL refuses answers who waits, and does not take the place of one that works', () => {
  const { contexts, results, want } = bench();
  const bad = { ...material(), privateKeyPem: 'no key' };
  want();
  contexts.update(bad);
  refusalOf(results[0]);
  contexts.update(material());
  const working = contexts.require(WEB);
  contexts.update(bad);
  assert.equal(contexts.require(WEB), working);
  assert.equal(isUsable(working), true);
});

test('identities are kept apart', () => {
  const { asked, contexts, results, want } = bench();
  want(WEB);
  want(CART);
  assert.deepEqual(asked, [WEB, CART]);
  contexts.update(unavailable('the CA refused', CART));
  assert.match(refusalOf(results[0]), /sa\/cart: the CA refused/);
  contexts.update(material(WEB));
  pairOf(results[1]);
  assert.equal(results.length, 2);
});

test('who waits is told the reason when there is no certificate, and who comes later asks again', () => {
  const { asked, contexts, results, want } = bench();
  want();
  want();
  contexts.update(unavailable('the CA is away'));
  assert.equal(results.length, 2);
  for (const result of results) assert.match(refusalOf(result), new RegExp(`${WEB}: the CA is away`));
  want();
  assert.deepEqual([asked, results.length], [[WEB, WEB], 2]);
  contexts.update(material());
  pairOf(results[2]);
});

test('a certificate that is taken away is asked for again by the next connection, and required in vain', () => {
  const { asked, contexts, results, want } = bench();
  contexts.update(material());
  contexts.update(unavailable('its last pod has gone'));
  assert.throws(
    () => contexts.require(WEB),
    (thrown: AmbitError) => thrown.code === 'AMBIT_IDENTITY_UNAVAILABLE',
  );
  want();
  assert.deepEqual([asked, results], [[WEB], []]);
});

test('only so many connections wait for one identity; those beyond are refused at once', () => {
  const { asked, contexts, results, want } = bench();
  for (let i = 0; i < MAX_WAITERS; i++) want();
  assert.equal(results.length, 0);
  want();
  assert.match(refusalOf(results[0]), /too many connections wait/);
  want(CART);
  assert.deepEqual(asked, [WEB, CART]);
  contexts.update(material());
  assert.equal(results.length, MAX_WAITERS + 1);
  want();
  pairOf(results.at(-1));
});

test('a connection that asks again from within its refusal waits anew and is not refused twice', () => {
  const { asked, contexts, results, want } = bench();
  contexts.withContexts(WEB, () => want());
  contexts.update(unavailable('away'));
  assert.deepEqual([asked.length, results], [2, []]);
});
