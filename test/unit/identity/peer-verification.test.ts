/** Who a peer is: exact identities, hostile names, strict reading, and the time it takes. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AmbitError } from '../../../src/base/errors.ts';
import {
  bitString,
  contextConstructed,
  contextPrimitive,
  type DerValue,
  encodeDer,
  encoded,
  integer,
  sequence,
  time,
} from '../../../src/identity/der-writer.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';
import { OID } from '../../../src/identity/object-identifiers.ts';
import {
  type PeerVerdict,
  verifyDownstream,
  verifyUpstream,
} from '../../../src/identity/peer-verification.ts';
import { encodeAlgorithm, encodeExtension } from '../../../src/identity/x509-writer.ts';
import { authorityProfile, issue, makeRoot, spiffeId, workload } from './authorities.ts';

const CART = spiffeId('spiffe://cluster.local/ns/shop/sa/cart');
const ADMIN = spiffeId('spiffe://cluster.local/ns/kube-system/sa/admin');
const SOURCE = join(import.meta.dirname, '../../../src/identity');
const root = makeRoot('root');

function refusal(verdict: PeerVerdict): AmbitError {
  assert.equal(verdict.kind, 'refused');
  return (verdict as PeerVerdict & { kind: 'refused' }).error;
}

/** A certificate with exactly these names, well-formed in everything else, as a wayward CA might sign it. */
function certificateNaming(...names: DerValue[]): Uint8Array {
  return certificateWith([encodeExtension(OID.subjectAltName, sequence(...names), 'critical')]);
}

function certificateWith(extensions: readonly DerValue[]): Uint8Array {
  const key = KeyPair.generate();
  const body = sequence(
    contextConstructed(0, integer(Uint8Array.of(2))),
    integer(Uint8Array.of(7)),
    encodeAlgorithm(key.algorithm),
    sequence(),
    sequence(time(0), time(4e12)),
    sequence(),
    encoded(key.publicKeyDer),
    contextConstructed(3, sequence(...extensions)),
  );
  const signature = bitString(key.sign(encodeDer(body)));
  return encodeDer(sequence(body, encodeAlgorithm(key.algorithm), signature));
}

function uri(text: string): DerValue {
  return contextPrimitive(6, Buffer.from(text, 'latin1'));
}

function dns(text: string): DerValue {
  return contextPrimitive(2, Buffer.from(text, 'latin1'));
}

test('a peer of the own trust domain is accepted with its identity', () => {
  const chain = [issue(root, workload(CART)), root.der];
  assert.deepEqual(verifyDownstream(chain, 'cluster.local'), { kind: 'accepted', identity: CART });
  assert.deepEqual(verifyUpstream(chain, [ADMIN, CART]), { kind: 'accepted', identity: CART });
});

test('a peer of another trust domain is refused, also one that only differs in case or by a suffix', () => {
  for (const domain of ['other.local', 'cluster.local.evil', 'Cluster.local']) {
    const chain = [issue(root, workload({ ...CART, trustDomain: domain })), root.der];
    const error = refusal(verifyDownstream(chain, 'cluster.local'));
    assert.equal(error.code, 'AMBIT_PEER_TRUST_DOMAIN');
    assert.ok(error.message.includes(domain));
  }
});

test('an upstream with another identity is refused, and the error lists expected and got', () => {
  const chain = [issue(root, workload(ADMIN)), root.der];
  const error = refusal(verifyUpstream(chain, [CART]));
  assert.equal(error.code, 'AMBIT_PEER_IDENTITY_MISMATCH');
  assert.match(
    error.message,
    /is spiffe:\/\/cluster\.local\/ns\/kube-system\/sa\/admin; expected was .*\/sa\/cart$/,
  );
  assert.match(refusal(verifyUpstream(chain, [])).message, /expected was nobody/);
  const many = Array.from({ length: 30 }, (_, i) => ({ ...CART, serviceAccount: `a${i}` }));
  assert.match(refusal(verifyUpstream(chain, many)).message, /\/sa\/a7 or 22 more$/);
});

test('names that only look like the identity in a printed certificate are not taken for it', () => {
  const wanted = 'spiffe://cluster.local/ns/kube-system/sa/admin';
  const hostile: DerValue[][] = [
    [dns(`a, URI:${wanted}`)],
    [dns(wanted)],
    [contextPrimitive(1, Buffer.from(wanted))],
    [contextPrimitive(7, Buffer.from(wanted))],
    [contextConstructed(6, uri(wanted))],
    [uri(`https://a, URI:${wanted}`)],
    [uri(`spiffe://evil/ns/a/sa/b, URI:${wanted}`)],
    [uri(`${wanted}\0.evil`)],
    [uri(`${wanted}\n`)],
    [uri(` ${wanted}`)],
    [uri(`"${wanted}"`)],
    [uri(`${wanted}?x`)],
    [uri(`${wanted}#x`)],
    [uri(`${wanted}/`)],
    [uri('spiffe://cluster.local/ns/kube-system/sa/..')],
    [uri('spiffe://cluster.local:443/ns/kube-system/sa/admin')],
    [uri('spiffe://u@cluster.local/ns/kube-system/sa/admin')],
    [uri('spiffe://cluster.local/ns/kube%2dsystem/sa/admin')],
    [uri('SPIFFE://cluster.local/ns/kube-system/sa/admin')],
    [uri('spiffe://cluster.local/ns/kube-system/sa/\xe1dmin')],
    [uri('')],
    [uri(wanted), uri('spiffe://cluster.local/ns/shop/sa/cart')],
    [uri(wanted), uri(wanted)],
    [uri('https://example.com'), uri(wanted)],
    [],
  ];
  for (const names of hostile) {
    const chain = [certificateNaming(...names)];
    const shown = new X509Certificate(chain[0]!).subjectAltName ?? '';
    for (const verdict of [verifyUpstream(chain, [ADMIN]), verifyDownstream(chain, 'cluster.local')]) {
      assert.ok(verdict.kind === 'refused' || !isAdmin(verdict), `taken for ${wanted}: ${shown}`);
    }
  }
});

function isAdmin(verdict: PeerVerdict & { kind: 'accepted' }): boolean {
  return verdict.identity.namespace === ADMIN.namespace && verdict.identity.serviceAccount === 'admin';
}

test('names of other kinds beside the one URI do not matter', () => {
  const chain = [
    certificateNaming(dns('gateway.example.com'), uri('spiffe://cluster.local/ns/shop/sa/cart')),
  ];
  assert.equal(verifyUpstream(chain, [CART]).kind, 'accepted');
});

test('two name extensions, trailing bytes, and a leaf that is a CA are refused', () => {
  const names = encodeExtension(
    OID.subjectAltName,
    sequence(uri('spiffe://cluster.local/ns/shop/sa/cart')),
    'critical',
  );
  const twice = refusal(verifyUpstream([certificateWith([names, names])], [CART]));
  assert.equal(twice.code, 'AMBIT_PEER_CERTIFICATE_MALFORMED');
  const longer = Buffer.concat([issue(root, workload(CART)), Buffer.of(0)]);
  assert.equal(refusal(verifyUpstream([longer], [CART])).code, 'AMBIT_PEER_CERTIFICATE_MALFORMED');
  const authority = encodeExtension(
    OID.basicConstraints,
    sequence(encoded(Uint8Array.of(1, 1, 0xff))),
    'critical',
  );
  const ca = refusal(verifyUpstream([certificateWith([names, authority])], [CART]));
  assert.equal(ca.code, 'AMBIT_PEER_IDENTITY_MISSING');
});

test('a peer without certificate or without names has no identity', () => {
  for (const chain of [[], [issue(root, authorityProfile('x'))]]) {
    assert.equal(refusal(verifyDownstream(chain, 'cluster.local')).code, 'AMBIT_PEER_IDENTITY_MISSING');
  }
});

test('a data plane thread, which only verifies, does not load the library that writes ASN.1', () => {
  const modules = ['peer-verification', 'revocation-list'].map((name) => join(SOURCE, `${name}.ts`));
  const script = `await Promise.all(${JSON.stringify(modules)}.map((path) => import(path)));
    const { createRequire } = await import('node:module');
    process.stdout.write(Object.keys(createRequire('/').cache).join());`;
  const loaded = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.doesNotMatch(loaded, /node-forge/);
});

test('a certificate with thousands of names is refused', () => {
  const names = Array.from({ length: 5_000 }, (_, i) => dns(`n${i}`));
  const error = refusal(verifyUpstream([certificateNaming(...names)], [CART]));
  assert.equal(error.code, 'AMBIT_PEER_CERTIFICATE_MALFORMED');
});

test('any mutation of a certificate is refused or leaves the identity what it was', () => {
  const leaf = issue(root, workload(CART));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(leaf.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const changed = Uint8Array.from(leaf);
        for (const [at, value] of changes) changed[at] = value;
        const verdict = verifyUpstream([changed, root.der], [CART]);
        if (verdict.kind === 'accepted') assert.deepEqual(verdict.identity, CART);
        else assert.match(verdict.error.code, /^AMBIT_PEER_/);
      },
    ),
    { numRuns: 3000 },
  );
});

test('arbitrary names are read exactly or refused', () => {
  const segment = fc.stringMatching(/^[a-z0-9.-]{1,20}$/).filter((text) => text !== '.' && text !== '..');
  fc.assert(
    fc.property(segment, segment, segment, (trustDomain, namespace, serviceAccount) => {
      const identity = { trustDomain, namespace, serviceAccount };
      const chain = [issue(root, workload(identity))];
      assert.deepEqual(verifyUpstream(chain, [identity]), { kind: 'accepted', identity });
      assert.equal(verifyDownstream(chain, `${trustDomain}x`).kind, 'refused');
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const chain = [certificateNaming(contextPrimitive(6, bytes))];
      assert.equal(verifyDownstream(chain, 'cluster.local').kind, 'refused');
    }),
    { numRuns: 200 },
  );
});
