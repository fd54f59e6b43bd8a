/** TLS contexts: what they refuse, and the choice of the application protocol. */

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AmbitError } from '../../../src/base/errors.ts';
import { alpnWireFormat, firstCommonProtocol } from '../../../src/sys/tls-alpn.ts';
import { TlsContext, type TlsContextOptions } from '../../../src/sys/tls-context.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';

const root = makeRoot('root');
const leaf = makeLeaf(root, { spiffeId: 'spiffe://cluster.local/ns/a/sa/b' });

const good: TlsContextOptions = {
  role: 'server',
  certificateChainPem: leaf.chainPem,
  privateKeyPem: leaf.privateKeyPem,
  trustedRootsPem: root.certificatePem,
  alpn: ['h2'],
  requirePeerCertificate: true,
};

function refused(change: Partial<TlsContextOptions>, text: RegExp): void {
  assert.throws(
    () => new TlsContext({ ...good, ...change }),
    (error: AmbitError) => error.code === 'AMBIT_TLS_CONTEXT_INVALID' && text.test(error.message),
  );
}

test('certificates and keys that are not usable are refused with the reason', () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  refused({ certificateChainPem: 'no certificate' }, /certificate chain: no start line/);
  refused({ certificateChainPem: leaf.chainPem.slice(0, -200) }, /certificate chain: bad end line/);
  refused({ certificateChainPem: undefined }, /server without certificate/);
  refused({ privateKeyPem: 'no key' }, /private key/);
  refused({ privateKeyPem: other.export({ type: 'sec1', format: 'pem' }).toString() }, /mismatch/);
  refused({ trustedRootsPem: '' }, /trusted roots/);
  refused({ trustedRootsPem: undefined }, /without trusted roots/);
});

test('what is usable is taken: a client without identity, keys in PKCS#8 and SEC 1, text around the blocks', () => {
  new TlsContext(good).close();
  const anonymous = { role: 'client', certificateChainPem: undefined, privateKeyPem: undefined } as const;
  new TlsContext({ ...good, ...anonymous }).close();
  const { privateKeyPem } = leaf;
  assert.match(privateKeyPem, /BEGIN PRIVATE KEY/);
  new TlsContext({ ...good, trustedRootsPem: `comment\n${root.certificatePem}\nmore\n` }).close();
});

test('contexts that are made and closed again and again do not pile up', () => {
  for (let i = 0; i < 200; i++) new TlsContext(good).close();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 2000; i++) new TlsContext(good).close();
  // A context is about 100 KB with its certificates: 2,000 of them left behind would be 200 MB.
  assert.ok(process.memoryUsage().rss - before < 100e6);
});

test('of two lists the first protocol of ours that they have too is chosen', () => {
  const protocol = fc.constantFrom('h2', 'http/1.1', 'istio', 'h', 'h22');
  const list = fc.array(protocol, { maxLength: 5 });
  fc.assert(
    fc.property(list, list, (ours, theirs) => {
      const wire = alpnWireFormat(ours);
      const place = firstCommonProtocol(wire, alpnWireFormat(theirs));
      const expected = ours.find((one) => theirs.includes(one));
      const chosen =
        place < 0 ? undefined : Buffer.from(wire.subarray(place + 1, place + 1 + wire[place]!)).toString();
      assert.equal(chosen, expected);
    }),
  );
});

test('a list that is cut or lies about its lengths chooses nothing wrong and does not run away', () => {
  const ours = alpnWireFormat(['h2', 'http/1.1']);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (theirs) => {
      const place = firstCommonProtocol(ours, theirs);
      assert.ok(place === -1 || place === 0 || place === 3);
    }),
  );
});
