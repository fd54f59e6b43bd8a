/** The TLS contexts of a reactor thread: waited for, renewed under way, and never lost to a bad certificate. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { contextHandle } from '../../../src/sys/tls-context.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import type { IdentityMaterial } from '../../../src/ztunnel/proxy/messages.ts';
import { type ContextPair, MAX_WAITERS, TlsContexts } from '../../../src/ztunnel/proxy/tls-contexts.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';
import { testReactor } from '../../support/reactor-harness.ts';

const IDENTITY = 'spiffe://cluster.local/ns/shop/sa/front';
const root = makeRoot('mesh root');
const reactor = testReactor();
setLogLevels('off');

function material(changes: Partial<IdentityMaterial> = {}): IdentityMaterial {
  const { chainPem, privateKeyPem } = makeLeaf(root, { spiffeId: IDENTITY });
  const common = { kind: 'available', identity: IDENTITY, trustedRootsPem: root.certificatePem } as const;
  return { ...common, certificateChainPem: chainPem, privateKeyPem, ...changes };
}

/** What a caller is told, in the order in which it is. */
function ask(
  contexts: TlsContexts,
  results: (ContextPair | AmbitError)[] = [],
): (ContextPair | AmbitError)[] {
  contexts.withContexts(IDENTITY, (result) => results.push(result));
  return results;
}

test('the first connection asks for the certificate, all that wait get it, later ones get it at once', () => {
  const asked: string[] = [];
  const contexts = new TlsContexts(reactor, (identity) => asked.push(identity));
  const results = ask(contexts, ask(contexts));
  assert.deepEqual([asked, results], [[IDENTITY], []]);
  contexts.update(material());
  assert.equal(results.length, 2);
  assert.deepEqual([asked, ask(contexts)], [[IDENTITY], [results[0]]]);
});

test('who has been given a certificate can begin a handshake with it although it is renewed meanwhile', () => {
  const contexts = new TlsContexts(reactor, () => {});
  contexts.update(material());
  const before = contexts.require(IDENTITY);
  contexts.update(material());
  assert.notEqual(contexts.require(IDENTITY), before);
  assert.notEqual(contextHandle(before.client), 0n);
  contexts.update({ kind: 'unavailable', identity: IDENTITY, reason: 'expired' });
  assert.throws(() => contexts.require(IDENTITY), /AMBIT_IDENTITY_UNAVAILABLE|no certificate/);
  assert.notEqual(contextHandle(before.server), 0n);
});

test('a certificate that OpenSSL refuses fails those that wait for it, and does not replace a good one', () => {
  const contexts = new TlsContexts(reactor, () => {});
  const bad = material({ privateKeyPem: material().privateKeyPem });
  const results = ask(contexts);
  contexts.update(bad);
  assert.ok(results[0] instanceof AmbitError);
  assert.equal(results[0].code, 'AMBIT_IDENTITY_UNAVAILABLE');
  contexts.update(material());
  const good = contexts.require(IDENTITY);
  contexts.update(bad);
  assert.equal(contexts.require(IDENTITY), good);
});

test('more connections than may wait for a certificate are refused at once', () => {
  const contexts = new TlsContexts(reactor, () => {});
  for (let i = 0; i < MAX_WAITERS; i++) assert.deepEqual(ask(contexts), []);
  assert.ok(ask(contexts)[0] instanceof AmbitError);
});
