/** Certificates that live for seconds under load: many renewals and a new root, and a CA that stays away too long. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type CallLoop, callFromPod } from '../support/call-loop.ts';
import { AMBIENT, namespaceManifest, podManifest, TCP_PORT } from '../support/mesh-manifests.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';
import { StoredAuthority } from '../support/stored-authority.ts';
import { captureWhile, portOf } from '../support/wire-capture.ts';

const NODES = ['node1', 'node2'] as const;
/** A certificate is renewed after half of it; what is left then is for a busy machine. */
const TTL_SECONDS = 6;
const RENEWALS = 50;
/** Each call costs two handshakes. */
const CALL_INTERVAL_MS = 200;
/** Lives in which a busy machine gets done what takes one. */
const PATIENCE_MS = 10 * TTL_SECONDS * 1000;
/** Each calls its peer on the other node, and has an identity of its own. */
const PAIRS = [1, 2, 3].map((i) => ({ node1: `east-${i}`, node2: `west-${i}` }));
const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  ...PAIRS.flatMap((pair) => NODES.map((node) => podManifest({ name: pair[node], namespace: 'shop', node }))),
];

describe('certificates that live for seconds', () => {
  let session: SandboxSession;
  const loops: CallLoop[] = [];

  before(async () => {
    // No connection is used for two calls, so that each call is a handshake with the certificates of the moment.
    const settings = `POOL_MAX_STREAMS_PER_CONNECTION=1 POOL_UNUSED_RELEASE_TIMEOUT=0ms SECRET_TTL=${TTL_SECONDS}s`;
    const up = NODES.flatMap((node) => ['--ztunnel', `${node}=${settings} exec ambit ztunnel`]);
    session = await SandboxSession.start({ name: 'renewals', manifests: MANIFESTS, up });
    await session.enrolled('shop');
    for (const { node1, node2 } of PAIRS) {
      for (const [from, to] of [
        [node1, node2],
        [node2, node1],
      ] as const) {
        const host = await session.podIp('shop', to);
        const target = { host, port: TCP_PORT, intervalMs: CALL_INTERVAL_MS };
        loops.push(callFromPod(session.commands, { namespace: 'shop', name: from }, target));
      }
    }
  });
  after(async () => {
    for (const loop of loops) loop.stop();
    await session?.dispose();
  });

  async function callsGoOn(): Promise<void> {
    const now = Date.now();
    await Promise.all(loops.map((loop) => loop.succeeded(now)));
  }

  async function sum(metric: string): Promise<number> {
    const all = await Promise.all(NODES.map((node) => session.metrics(node)));
    return all.reduce((total, samples) => total + sumOf(samples, metric, {}), 0);
  }

  /** Waits until every certificate of either node has these issuers and roots, by the names of their subjects. */
  async function everyCertificate(what: string, check: (issuer: string, roots: string[]) => boolean) {
    const nameOf = (pem: string, name: 'issuer' | 'subject') =>
      new X509Certificate(Buffer.from(pem, 'base64'))[name];
    await until(
      what,
      async () => {
        const dumps = await Promise.all(NODES.map((node) => session.dump(node)));
        return dumps
          .flatMap(({ certificates }) => certificates)
          .every(({ certChain: [leaf], rootCerts }) => {
            if (leaf === undefined) return false;
            return check(
              nameOf(leaf.pem, 'issuer'),
              rootCerts.map(({ pem }) => nameOf(pem, 'subject')),
            );
          });
      },
      PATIENCE_MS,
    );
  }

  test(`${RENEWALS} renewals and a new root go by under load, and no connection fails`, async (t: TestContext) => {
    const authority = new StoredAuthority((await session.facts()).controlPlane!.process!.authorityFolder);
    await callsGoOn();
    const begun = Date.now();
    const issued = await sum('ambit_certificates_issued_total');
    const old = new X509Certificate(authority.state().signer.certificatePem).subject;
    await authority.rotate();
    await everyCertificate('every proxy trusts both roots', (_, roots) => roots.length === 2);
    await authority.goOn();
    await authority.untilStep('switched');
    await everyCertificate('every certificate is of the new root', (issuer) => issuer !== old);
    await authority.goOn();
    await authority.untilStep('stable');
    await everyCertificate('nobody trusts the old root', (_, roots) => !roots.includes(old));
    const renewals = await until(
      `${RENEWALS} renewals`,
      async () => {
        const now = (await sum('ambit_certificates_issued_total')) - issued;
        return now >= RENEWALS && now;
      },
      PATIENCE_MS,
    );
    await callsGoOn();
    const failures = loops.flatMap((loop) => loop.failures());
    assert.deepEqual(failures.slice(0, 3), [], `${failures.length} calls failed`);
    assert.equal(await sum('ambit_certificates_expired_total'), 0);
    const calls = loops.reduce((total, { lines }) => total + lines.length, 0);
    t.diagnostic(`${renewals} renewals, ${calls} calls, ${Date.now() - begun} ms`);
  });

  test('a CA that stays away until certificates expire: open connections go on, new ones fail and never go bare, and it is counted, logged, shown and over when the CA is back', async () => {
    const { pid } = (await session.facts()).controlPlane!.process!;
    const caller = await session.callerIn('shop', PAIRS[0]!.node1);
    const server = await session.podIp('shop', PAIRS[0]!.node2);
    const open = await caller.open(server, TCP_PORT);
    assert.equal(await open.exchange('before'), 'before');
    const segments = await captureWhile(session, async () => {
      process.kill(pid!, 'SIGSTOP');
      try {
        await until('every certificate has expired', isAllExpired, PATIENCE_MS);
        assert.equal(await open.exchange('while it is expired'), 'while it is expired');
        assert.notEqual(await caller.outcome(`http://${server}:8080/`), 'ok');
        await assertTold();
      } finally {
        process.kill(pid!, 'SIGCONT');
      }
      await callsGoOn();
    });
    assert.equal(await open.exchange('after'), 'after');
    const bare = segments.filter(({ source, destination }) =>
      [source, destination].some((end) => portOf(end) === TCP_PORT || portOf(end) === 8080),
    );
    assert.deepEqual(bare, []);
  });

  async function isAllExpired(): Promise<boolean> {
    const expiries = await Promise.all(
      NODES.map(async (node) =>
        (await session.metrics(node)).filter(({ name }) => name === 'ambit_certificate_expiry_seconds'),
      ),
    );
    return expiries.flat().every(({ value }) => value < 0);
  }

  async function assertTold(): Promise<void> {
    assert.ok((await sum('ambit_certificates_expired_total')) >= 2 * PAIRS.length);
    const identity = `spiffe://cluster.local/ns/shop/sa/${PAIRS[0]!.node1}`;
    const line = session.logOf('node1').find(({ level, fields, message }) => {
      return level === 'error' && fields.code === 'AMBIT_IDENTITY_UNAVAILABLE' && message.includes(identity);
    });
    assert.ok(line, 'an error in the log');
    await session.accessLine('node1', {
      'src.workload': PAIRS[0]!.node1,
      code: 'AMBIT_IDENTITY_UNAVAILABLE',
    });
    const shown = (await session.dump('node1')).certificates.find((one) => one.identity === identity);
    assert.match(shown!.state, /^Unavailable\(there is no valid certificate for .* since /);
  }
});
