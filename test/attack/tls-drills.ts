/** Half-open connections, slow ones, and handshakes that come to nothing, at the HBONE port of a pod. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { MAX_OPEN_HANDSHAKES_PER_POD } from '../../src/ztunnel/proxy/limits.ts';
import type { Leaf } from '../support/certificates.ts';
import { makeLeaf, makeRoot } from '../support/certificates.ts';
import { type Credentials, clientHello, openTls } from '../support/hostile-peer.ts';
import type { AttackWorld } from './attack-world.ts';
import type { Deadline, Drill } from './drill.ts';
import { closed, waiting } from './http2-flood.ts';

/** Handshake timeouts are 10 s. */
const TIMEOUT_DRILL_MS = 12_000;
/** On both reactors together, some more than they keep. */
const HALF_OPEN = 3 * MAX_OPEN_HANDSHAKES_PER_POD;
const SLOW = 200;
const DRIP_MS = 500;
/** More than may come without data between them, and how fast: s_client(1) takes one command from each read(2). */
const KEY_UPDATES = 40;
const KEY_UPDATE_MS = 10;
/** A chain of a hundred kilobytes. */
const CHAIN_LENGTH = 150;

/** Keeps so many connections until the time is over; one that is lost is replaced. */
async function keepOpen(count: number, deadline: Deadline, dial: () => Socket): Promise<void> {
  const sockets = new Set<Socket>();
  const one = () => {
    if (deadline.over) return;
    const socket = dial();
    sockets.add(socket);
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket);
        setTimeout(one, DRIP_MS);
      });
  };
  for (let i = 0; i < count; i++) {
    one();
    if (i % 50 === 0) await waiting(5);
  }
  await waiting(deadline.leftMs);
  for (const socket of sockets) socket.destroy();
}

/** Handshakes one after the other, on so many connections at a time. */
async function handshakes(deadline: Deadline, atOnce: number, once: () => Promise<void>): Promise<void> {
  const loop = async () => {
    while (!deadline.over) await once();
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
}

async function tryTls(world: AttackWorld, credentials: Credentials, bytes?: string): Promise<void> {
  const socket = openTls(world.hbone, credentials);
  const gone = closed(socket);
  socket.resume();
  if (bytes !== undefined) socket.once('secureConnect', () => socket.write(bytes));
  await Promise.race([gone, waiting(1000)]);
  socket.destroy();
  await gone;
}

async function churn(world: AttackWorld): Promise<void> {
  const socket = openTls(world.hbone, { leaf: world.attacker });
  const gone = closed(socket);
  socket.once('secureConnect', () => socket.destroy());
  await gone;
}

async function dripHello(world: AttackWorld, deadline: Deadline): Promise<void> {
  const hello = await clientHello();
  await keepOpen(SLOW, deadline, () => {
    const socket = connectTcp({ ...world.hbone, noDelay: true });
    let next = 0;
    const timer = setInterval(() => socket.write(hello.subarray(next, ++next)), DRIP_MS);
    socket.once('close', () => clearInterval(timer)).resume();
    return socket;
  });
}

/** One connection on which keys are asked for again and again, until it is cut. Node knows no KeyUpdate, so openssl(1). */
async function updateKeys({ hbone }: AttackWorld, leafFile: string): Promise<void> {
  const credentials = ['-cert', leafFile, '-key', leafFile];
  const args = ['s_client', '-connect', `${hbone.host}:${hbone.port}`, '-alpn', 'h2', ...credentials];
  const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => {});
  const gone = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), gone]);
  child.stdout.resume();
  for (let i = 0; i < KEY_UPDATES; i++) {
    child.stdin.write('K\n');
    await waiting(KEY_UPDATE_MS);
  }
  child.kill();
  await gone;
}

async function updatingKeys(world: AttackWorld, deadline: Deadline): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attacker-'));
  const leafFile = join(folder, 'leaf.pem');
  writeFileSync(leafFile, world.attacker.chainPem + world.attacker.privateKeyPem);
  try {
    await handshakes(deadline, 4, () => updateKeys(world, leafFile));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function longChain(world: AttackWorld): Leaf {
  const chainPem = world.attacker.certificatePem + world.authority.certificatePem.repeat(CHAIN_LENGTH);
  return { ...world.attacker, chainPem };
}

function failed(code: string): Pick<Drill, 'counters' | 'code'> {
  return { counters: [`ambit_hbone_connections_failed_total/${code}`], code };
}

export const TLS_DRILLS: readonly Drill[] = [
  {
    name: 'half-open',
    about: 'TLS handshakes by the thousand that are begun only',
    counters: [
      'ambit_limit_reached_total/open_handshakes_per_pod',
      'ambit_limit_reached_total/refusal_lines_per_pod',
    ],
    code: 'AMBIT_HBONE_HANDSHAKE_DISPLACED',
    attack: (world, deadline) => keepOpen(HALF_OPEN, deadline, () => connectTcp(world.hbone).resume()),
  },
  {
    name: 'slow-handshake',
    about: 'slow-loris',
    ...failed('AMBIT_TLS_HANDSHAKE_TIMED_OUT'),
    attackMs: TIMEOUT_DRILL_MS,
    attack: dripHello,
  },
  {
    name: 'silent-after-tls',
    about: 'slow-loris with a good certificate',
    counters: ['ambit_http2_protection_total/settingsTimeouts'],
    code: 'AMBIT_HTTP2_UNRESPONSIVE',
    attackMs: TIMEOUT_DRILL_MS,
    attack: (world, deadline) =>
      keepOpen(SLOW, deadline, () => openTls(world.hbone, { leaf: world.attacker }).resume()),
  },
  {
    name: 'old-tls',
    about: 'TLS 1.2: renegotiation, tickets, early data need what is not spoken here',
    ...failed('AMBIT_TLS_HANDSHAKE_FAILED'),
    attack: (world, deadline) =>
      handshakes(deadline, 4, () => tryTls(world, { leaf: world.attacker, maxVersion: 'TLSv1.2' })),
  },
  {
    name: 'key-updates',
    about: 'other keys, again and again',
    ...failed('AMBIT_TLS_PROTOCOL_FAILED'),
    attack: updatingKeys,
  },
  {
    name: 'strangers',
    about: 'certificates of another authority',
    ...failed('AMBIT_TLS_PEER_REJECTED'),
    attack: (world, deadline) => {
      const leaf = makeLeaf(makeRoot('another mesh'), { spiffeId: 'spiffe://cluster.local/ns/shop/sa/x' });
      return handshakes(deadline, 4, () => tryTls(world, { leaf }));
    },
  },
  {
    name: 'long-chain',
    about: 'huge certificates',
    ...failed('AMBIT_TLS_HANDSHAKE_FAILED'),
    attack: (world, deadline) => handshakes(deadline, 2, () => tryTls(world, { leaf: longChain(world) })),
  },
  {
    name: 'no-alpn',
    about: 'CVE-2021-22883: another protocol on the port',
    ...failed('AMBIT_HTTP2_DOWNSTREAM_VIOLATION'),
    attack: (world, deadline) =>
      handshakes(deadline, 4, async () => {
        const { chainPem, privateKeyPem } = world.attacker;
        const options = { ...world.hbone, rejectUnauthorized: false, cert: chainPem, key: privateKeyPem };
        const socket = connectTls(options, () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
        const gone = closed(socket);
        socket.resume();
        await Promise.race([gone, waiting(1000)]);
        socket.destroy();
        await gone;
      }),
  },
  {
    // A handshake costs the attacker as much as us: no limit has to answer unless it has more cores.
    name: 'handshake-churn',
    about: 'a handshake, and away',
    attack: (world, deadline) => handshakes(deadline, 16, () => churn(world)),
  },
];
