/** The certificates of a running mesh: the root replaced while pods call each other, and requests that are refused. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type CallLoop, callFromPod } from '../support/call-loop.ts';
import type { AskedIdentity, AskerAnswer } from '../support/certificate-asker-main.ts';
import { type Leaf, makeLeaf } from '../support/certificates.ts';
import { AMBIENT, namespaceManifest, podManifest, TCP_PORT } from '../support/mesh-manifests.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';
import { StoredAuthority } from '../support/stored-authority.ts';

const ASKER = join(import.meta.dirname, '..', 'support', 'certificate-asker-main.ts');
const NODES = ['node1', 'node2'] as const;
/**
 * Seconds that certificates live: node 1 has the new root long before node 2, and what is left at a renewal is enough on
 * a busy machine.
 */
const TTL = { node1: 16, node2: 40 } as const;
/** Each call costs two handshakes, or none is left of a small machine. */
const CALL_INTERVAL_MS = 100;
/** Longer than any of them. */
const LIFE_MS = 42_000;
const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  podManifest({ name: 'buyer', namespace: 'shop', node: 'node1' }),
  podManifest({ name: 'seller', namespace: 'shop', node: 'node2' }),
];

interface Held {
  readonly issuer: string;
  readonly serialNumber: string;
  readonly roots: readonly string[];
}

describe('certificates of a running mesh', () => {
  let session: SandboxSession;
  let authority: StoredAuthority;
  const calls: CallLoop[] = [];

  before(async () => {
    // No connection is used for two calls, so that each call is a handshake.
    const ztunnels = NODES.flatMap((node) => [
      '--ztunnel',
      `${node}=POOL_MAX_STREAMS_PER_CONNECTION=1 POOL_UNUSED_RELEASE_TIMEOUT=0ms SECRET_TTL=${TTL[node]}s exec ambit ztunnel`,
    ]);
    session = await SandboxSession.start({ name: 'certificates', manifests: MANIFESTS, up: ztunnels });
    await session.enrolled('shop');
    authority = new StoredAuthority((await session.facts()).controlPlane!.process!.authorityFolder);
    for (const [from, to] of [
      ['buyer', 'seller'],
      ['seller', 'buyer'],
    ] as const) {
      const pod = { namespace: 'shop', name: from };
      const target = { host: await session.podIp('shop', to), port: TCP_PORT, intervalMs: CALL_INTERVAL_MS };
      calls.push(callFromPod(session.commands, pod, target));
    }
    await callsGoOn();
  });
  after(async () => {
    for (const loop of calls) loop.stop();
    await session?.dispose();
  });

  async function callsGoOn(): Promise<void> {
    const now = Date.now();
    for (const loop of calls) await loop.succeeded(now);
  }

  /** The first ones tell more than all. */
  function assertNoneFailed(): void {
    for (const loop of calls) {
      const failures = loop.failures();
      assert.deepEqual(failures.slice(0, 3), [], `${failures.length} of ${loop.lines.length} calls failed`);
    }
  }

  async function untilHeld(what: string, check: (near: Held, far: Held) => boolean): Promise<void> {
    await until(
      what,
      async () => {
        const [near, far] = await Promise.all(NODES.map(heldBy));
        return check(near!, far!);
      },
      LIFE_MS,
    );
  }

  /** What a node's proxy holds for its pod. */
  async function heldBy(node: (typeof NODES)[number]): Promise<Held> {
    const { certificates } = await session.dump(node);
    const pod = node === 'node1' ? 'buyer' : 'seller';
    const held = certificates.find(({ identity }) => identity.endsWith(`/ns/shop/sa/${pod}`))!;
    const read = (pem: string) => new X509Certificate(Buffer.from(pem, 'base64'));
    return {
      issuer: read(held.certChain[0]!.pem).issuer,
      serialNumber: read(held.certChain[0]!.pem).serialNumber,
      roots: held.rootCerts.map(({ pem }) => read(pem).subject).sort(),
    };
  }

  /** Opens a connection to the seller's HBONE port as somebody with this certificate. */
  function knock(leaf: Leaf, ip: string): void {
    const file = (name: string, text: string) => {
      const path = join(session.commands.folder, name);
      writeFileSync(path, text);
      return path;
    };
    const credentials = [
      '-cert',
      file('leaf.pem', leaf.chainPem),
      '-key',
      file('key.pem', leaf.privateKeyPem),
    ];
    const connect = ['openssl', 's_client', '-connect', `${ip}:15008`, '-alpn', 'h2', ...credentials];
    const [program, ...args] = [...session.enterNode('node1'), 'timeout', '3', ...connect];
    spawnSync(program!, args, { input: '' });
  }

  test('the root is replaced with overlap: no call fails, certificates of both roots trust each other, and at last the old root is gone', async (t: TestContext) => {
    const before = authority.state();
    const old = {
      certificatePem: before.signer.certificatePem,
      privateKeyPem: before.signer.keyPem,
      intermediatesPem: '',
    };
    const oldName = new X509Certificate(old.certificatePem).subject;
    const stolen = makeLeaf(old, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/buyer' });
    const begun = Date.now();
    await authority.rotate();
    await untilHeld('both proxies trust both roots', (near, far) =>
      [near, far].every(({ roots, issuer }) => roots.length === 2 && issuer === oldName),
    );
    assert.equal(authority.state().rotation.kind, 'introduced');
    assert.equal(authority.publishedRoots().length, 2);

    // Then its next renewal is far away.
    const { serialNumber } = await heldBy('node2');
    await untilHeld('node 2 has renewed', (_, far) => far.serialNumber !== serialNumber);
    await authority.goOn();
    await authority.untilStep('switched');
    await untilHeld(
      'node 1 has a certificate of the new root, and node 2 of the old',
      (near, far) => near.issuer !== oldName && far.issuer === oldName,
    );
    await callsGoOn();
    await untilHeld('both have one of the new root', (near, far) =>
      [near, far].every(({ issuer }) => issuer !== oldName),
    );

    await authority.goOn();
    await authority.untilStep('stable');
    await until('the old root is published no more', async () =>
      authority.publishedRoots().every((pem) => new X509Certificate(pem).subject !== oldName),
    );
    await untilHeld('no proxy trusts the old root', (near, far) =>
      [near, far].every(({ roots }) => roots.length === 1 && roots[0] !== oldName),
    );
    const from = session.logOf('node2').length;
    knock(stolen, await session.podIp('shop', 'seller'));
    await until('a certificate of the old root is refused', async () =>
      session
        .logOf('node2')
        .slice(from)
        .some(({ fields }) => fields.code === 'AMBIT_TLS_PEER_REJECTED'),
    );
    await callsGoOn();
    assertNoneFailed();
    t.diagnostic(`${calls[0]!.lines.length + calls[1]!.lines.length} calls, ${Date.now() - begun} ms`);
  });

  async function ask(...identities: readonly AskedIdentity[]): Promise<readonly AskerAnswer[]> {
    const { controlPlane, nodes } = await session.facts();
    const { ip, xdsPort } = controlPlane!.process!;
    const { rootFile, tokenFile } = nodes[0]!.ztunnel!;
    const plan = { host: ip, port: xdsPort, rootFile, tokenFile, identities };
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', ASKER];
    const [program, ...args] = [...session.enterNode('node1'), ...node];
    return JSON.parse(execFileSync(program!, args, { input: JSON.stringify(plan), encoding: 'utf8' }));
  }

  test('requests that are too large, or for a pod of another node or trust domain, are refused with a code, and nothing stops', async () => {
    const [own, foreign] = ['cluster.local', 'other.example'].map(
      (domain) => `spiffe://${domain}/ns/shop/sa/buyer`,
    );
    const answers = await ask(
      { spiffeId: own!, padding: 16_384 },
      { spiffeId: 'spiffe://cluster.local/ns/shop/sa/seller' },
      { spiffeId: 'spiffe://cluster.local/ns/shop/sa/nobody' },
      { spiffeId: foreign! },
      { spiffeId: own!, padding: 8 * 1024 * 1024 },
      { spiffeId: own! },
    );
    assert.deepEqual(
      answers.map((one) => ('code' in one ? one.code : one.certificates)),
      [
        'AMBIT_GRPC_INVALID_ARGUMENT',
        'AMBIT_GRPC_PERMISSION_DENIED',
        'AMBIT_GRPC_PERMISSION_DENIED',
        'AMBIT_GRPC_PERMISSION_DENIED',
        'AMBIT_GRPC_RESOURCE_EXHAUSTED',
        2,
      ],
    );
    const log = await session.commands.must('logs', 'controlplane', '-n', 'ambit-system');
    const codes = ['CSR_TOO_LARGE', 'IDENTITY_NOT_ON_NODE', 'IDENTITY_NOT_ON_NODE', 'IDENTITY_FOREIGN'];
    for (const [i, code] of codes.entries()) {
      const answer = answers[i]!;
      assert.ok('message' in answer && answer.message.endsWith(`(AMBIT_${code})`), JSON.stringify(answer));
      assert.ok(log.includes(`AMBIT_${code}`), `${code} in the log`);
    }
    await callsGoOn();
    assertNoneFailed();
  });

  test('after a rotation the control plane starts again with the new root, and new pods are certified', async () => {
    await session.commands.must('restart', 'controlplane');
    await session.apply(podManifest({ name: 'late', namespace: 'shop', node: 'node1' }));
    await session.podReady('shop', 'late');
    const url = `http://${await session.podIp('shop', 'seller')}:8080/`;
    await session.commands.must('exec', 'late', '-n', 'shop', '--', 'curl', '-sSf', '-m', '20', url);
    // On a slow machine the short lives may have ended meanwhile, so only those from now on count.
    await callsGoOn();
  });
});
