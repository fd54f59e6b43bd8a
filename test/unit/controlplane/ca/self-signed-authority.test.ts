/** The CA with a root of its own: first start, restart, and replacing the root without a gap. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AmbitError } from '../../../../src/base/errors.ts';
import { AuthorityDirectory } from '../../../../src/controlplane/ca/authority-directory.ts';
import { parseAuthorityState } from '../../../../src/controlplane/ca/authority-state.ts';
import { CertificateAuthority } from '../../../../src/controlplane/ca/certificate-authority.ts';
import { SelfSignedAuthority } from '../../../../src/controlplane/ca/self-signed-authority.ts';
import { decodeCertificates } from '../../../../src/identity/pem.ts';
import { WATCH_INTERVAL_MS } from '../../../../src/identity/watched-files.ts';
import { setLogLevels } from '../../../../src/telemetry/log.ts';
import { eventually } from '../../../support/eventually.ts';
import { ManualClock, settle } from '../../../support/manual-clock.ts';
import { wholeSeconds } from '../../identity/authorities.ts';
import { openssl } from '../../identity/openssl.ts';
import { anyKey, CART, DAY_MS, HOUR_MS, MemoryStore, verifies } from './chains.ts';

setLogLevels('ca=off');
const folder = mkdtempSync(join(tmpdir(), 'ambit-ca-'));
after(() => rmSync(folder, { recursive: true }));
let folders = 0;

function newFolder(): string {
  return join(folder, `ca-${folders++}`, 'state');
}

const trustDomain = 'cluster.local';

interface Bench {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  source: SelfSignedAuthority;
  authority: CertificateAuthority;
}

async function bench(): Promise<Bench> {
  const clock = new ManualClock(wholeSeconds());
  const store = new MemoryStore();
  const source = await SelfSignedAuthority.open({ store, trustDomain, clock });
  return { clock, store, source, authority: new CertificateAuthority({ source, clock }) };
}

/** The control plane process ends, and another one starts on the same state. */
async function restart(made: Bench): Promise<void> {
  const { store, clock } = made;
  made.source.close();
  made.source = await SelfSignedAuthority.open({ store, trustDomain, clock });
  made.authority = new CertificateAuthority({ source: made.source, clock });
}

test('the first start makes a root for ten years, which later starts keep', async () => {
  const directory = newFolder();
  const clock = new ManualClock(wholeSeconds());
  const open = () =>
    SelfSignedAuthority.open({ store: new AuthorityDirectory(directory, clock), trustDomain, clock });
  const first = await open();
  const pem = first.material.trustBundle.pem;
  first.close();
  const second = await open();
  assert.equal(second.material.trustBundle.pem, pem);
  second.close();
  const text = openssl(['x509', '-noout', '-text'], pem);
  assert.match(text, /Subject: O ?= ?cluster\.local, CN ?= ?Ambit root CA [0-9a-f]{8}\n/);
  assert.match(text, /CA:TRUE/);
  assert.match(text, /ASN1 OID: prime256v1/);
  const [root] = second.material.trustBundle.roots;
  assert.equal(root!.notAfterMs, clock.nowMs() + 3650 * DAY_MS);
  assert.equal(clock.pending, 0);
});

test('the state is one file that only its owner may read, and nothing is left beside it', async () => {
  const directory = newFolder();
  const clock = new ManualClock(wholeSeconds());
  const source = await SelfSignedAuthority.open({
    store: new AuthorityDirectory(directory, clock),
    trustDomain,
    clock,
  });
  await source.rotate();
  source.close();
  assert.deepEqual(readdirSync(directory), ['authority.json']);
  assert.equal(statSync(join(directory, 'authority.json')).mode & 0o777, 0o600);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
});

test('of two processes that start at once, both use the root of one', async () => {
  const directory = newFolder();
  const clock = new ManualClock(wholeSeconds());
  const open = () =>
    SelfSignedAuthority.open({ store: new AuthorityDirectory(directory, clock), trustDomain, clock });
  const sources = await Promise.all([open(), open(), open()]);
  const roots = new Set(sources.map((source) => source.material.trustBundle.pem));
  assert.equal(roots.size, 1);
  for (const source of sources) source.close();
});

test('a state that cannot be understood is an error and is left as it is', async () => {
  const clock = new ManualClock(wholeSeconds());
  const directory = newFolder();
  const store = new AuthorityDirectory(directory, clock);
  await (await SelfSignedAuthority.open({ store, trustDomain, clock })).close();
  const path = join(directory, 'authority.json');
  const good = readFileSync(path, 'utf8');
  for (const bad of ['', '{}', 'null', good.slice(0, 100), good.replace('"version": 1', '"version": 2')]) {
    writeFileSync(path, bad);
    await assert.rejects(SelfSignedAuthority.open({ store, trustDomain, clock }), {
      code: 'AMBIT_CA_STATE_UNREADABLE',
    });
    assert.equal(readFileSync(path, 'utf8'), bad);
  }
  writeFileSync(path, good.replaceAll('BEGIN PRIVATE', 'BEGIN SECRET'));
  await assert.rejects(SelfSignedAuthority.open({ store, trustDomain, clock }), {
    code: 'AMBIT_CA_FILES_INVALID',
  });
});

test('a state that cannot be read or written is an error', async () => {
  const clock = new ManualClock(wholeSeconds());
  const signer = { keyPem: '', certificatePem: '' };
  const state = { version: 1, signer, rotation: { kind: 'stable' }, leavesExpireMs: 0 } as const;
  const file = join(folder, 'a-file');
  writeFileSync(file, '');
  await assert.rejects(new AuthorityDirectory(file, clock).save(state), {
    code: 'AMBIT_CA_STATE_UNWRITABLE',
  });
  await assert.rejects(new AuthorityDirectory(file, clock).load(), { code: 'AMBIT_CA_STATE_UNREADABLE' });
});

test('what is not the JSON of a state is not taken for one', () => {
  const signer = { keyPem: 'k', certificatePem: 'c' };
  const state = { version: 1, signer, rotation: { kind: 'stable' }, leavesExpireMs: 5 };
  assert.deepEqual(parseAuthorityState(JSON.stringify(state)), state);
  const wrong = [
    { ...state, signer: { keyPem: 'k' } },
    { ...state, rotation: { kind: 'introduced', dueMs: 5 } },
    { ...state, rotation: { kind: 'switched', previousCertificatePem: 'c' } },
    { ...state, rotation: { kind: 'other', dueMs: 5 } },
    { ...state, leavesExpireMs: '5' },
    [state],
  ];
  for (const one of wrong) assert.equal(parseAuthorityState(JSON.stringify(one)), undefined);
});

test("at each step of a rotation old and new certificates verify against each other's roots", async () => {
  const { clock, source, authority } = await bench();
  const issue = async () => (await authority.signWorkload(CART, anyKey())).chain;
  const check = (one: readonly string[], other: readonly string[]): void => {
    assert.ok(verifies(one, other.at(-1)!, clock.nowMs()));
    assert.ok(verifies(other, one.at(-1)!, clock.nowMs()));
  };
  const before = await issue();
  await source.rotate();
  const introduced = await issue();
  check(before, introduced);
  assert.ok(isSameIssuer(before, introduced));

  await clock.advance(DAY_MS - 60_000);
  assert.equal(source.rotation.kind, 'introduced');
  check(before, introduced);
  const lastOfOldRoot = await issue();

  await clock.advance(2 * HOUR_MS);
  assert.equal(source.rotation.kind, 'switched');
  const switched = await issue();
  check(lastOfOldRoot, switched);
  assert.ok(!isSameIssuer(lastOfOldRoot, switched));

  await clock.advance(22 * HOUR_MS - 60_000);
  assert.equal(source.rotation.kind, 'switched');
  const lastOfBothRoots = await issue();
  check(lastOfOldRoot, lastOfBothRoots);

  await clock.advance(2 * HOUR_MS);
  assert.equal(source.rotation.kind, 'stable');
  const afterwards = await issue();
  check(lastOfBothRoots, afterwards);
  assert.equal(decodeCertificates(afterwards.at(-1)!).length, 1);
  assert.ok(!verifies(before, afterwards.at(-1)!, clock.nowMs() - 2 * DAY_MS));
  source.close();
  assert.equal(clock.pending, 0);
});

function isSameIssuer(one: readonly string[], other: readonly string[]): boolean {
  const [a, b] = [one, other].map((chain) => openssl(['x509', '-noout', '-issuer'], chain[0]));
  return a === b;
}

test('neither does the new root sign nor the old one go while a certificate of 90 days is out', async () => {
  const { clock, source, authority } = await bench();
  const first = (await authority.signWorkload(CART, anyKey(90 * DAY_MS))).chain;
  await source.rotate();
  await clock.advance(90 * DAY_MS);
  assert.equal(source.rotation.kind, 'introduced');
  const second = (await authority.signWorkload(CART, anyKey(90 * DAY_MS))).chain;
  await clock.advance(2 * HOUR_MS);
  assert.equal(source.rotation.kind, 'switched');
  await clock.advance(89 * DAY_MS);
  assert.equal(source.rotation.kind, 'switched');
  assert.ok(verifies(second, authority.trustBundle.pem, clock.nowMs()));
  assert.ok(!verifies(first, authority.trustBundle.pem, clock.nowMs()));
  await clock.advance(2 * DAY_MS);
  assert.equal(source.rotation.kind, 'stable');
  source.close();
});

test('a rotation goes on after a restart at every step, also when its time passed meanwhile', async () => {
  const made = await bench();
  await made.authority.signWorkload(CART, anyKey());
  await made.source.rotate();
  await restart(made);
  assert.equal(made.source.rotation.kind, 'introduced');
  assert.equal(made.authority.trustBundle.roots.length, 2);
  made.source.close();
  await made.clock.advance(30 * HOUR_MS);
  await restart(made);
  await made.clock.advance(0);
  assert.equal(made.source.rotation.kind, 'switched');
  await made.authority.signWorkload(CART, anyKey());
  await restart(made);
  assert.equal(made.source.rotation.kind, 'switched');
  await made.clock.advance(30 * HOUR_MS);
  assert.equal(made.source.rotation.kind, 'stable');
  assert.equal(made.authority.trustBundle.roots.length, 1);
  made.source.close();
});

test('a second rotation during the first is refused', async () => {
  const { source } = await bench();
  await source.rotate();
  await assert.rejects(source.rotate(), (thrown) => {
    return thrown instanceof AmbitError && thrown.code === 'AMBIT_CA_ROTATION_UNDER_WAY';
  });
  assert.equal(source.material.trustBundle.roots.length, 2);
  source.close();
});

test('listeners hear of every step', async () => {
  const { source, clock } = await bench();
  const roots: number[] = [];
  const stop = source.onChange((material) => roots.push(material.trustBundle.roots.length));
  await source.rotate();
  await clock.advance(DAY_MS);
  assert.deepEqual(roots, [2, 2, 1]);
  stop();
  await source.rotate();
  assert.equal(roots.length, 3);
  source.close();
});

test('a disk that is full stops neither signing nor, once it has room, a rotation', async () => {
  const { source, clock, store, authority } = await bench();
  await source.rotate();
  store.failing = true;
  await authority.signWorkload(CART, anyKey());
  await clock.advance(HOUR_MS);
  assert.equal(source.rotation.kind, 'introduced');
  store.failing = false;
  await clock.advance(120_000);
  assert.equal(source.rotation.kind, 'switched');
  source.close();
  assert.equal(clock.pending, 0);
});

test('issuing many certificates writes the state about once an hour', async () => {
  const { source, clock, store, authority } = await bench();
  for (let minute = 0; minute < 300; minute++) {
    await authority.signWorkload(CART, anyKey());
    await clock.advance(60_000);
  }
  assert.ok(store.saves >= 5 && store.saves <= 6, `${store.saves} writes`);
  source.close();
});

test('another process on the same directory follows a rotation', async () => {
  const directory = newFolder();
  const clock = new ManualClock(wholeSeconds());
  const open = () =>
    SelfSignedAuthority.open({ store: new AuthorityDirectory(directory, clock), trustDomain, clock });
  const [leader, follower] = [await open(), await open()];
  await leader.rotate();
  await clock.advance(WATCH_INTERVAL_MS);
  await eventually(
    'the other process has both roots',
    () => follower.material.trustBundle.roots.length === 2,
  );
  writeFileSync(join(directory, 'authority.json'), '{ broken');
  await clock.advance(WATCH_INTERVAL_MS);
  await settle();
  assert.equal(follower.material.trustBundle.roots.length, 2);
  leader.close();
  follower.close();
});
