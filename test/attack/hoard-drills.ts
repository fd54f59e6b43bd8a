/** Connections with a good certificate that are kept: as many of one peer, and of one pod, as the proxy takes. */

import assert from 'node:assert/strict';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { FrameFlag, FrameType } from '../../src/http/http2-frame.ts';
import { frame, PREFACE, parseFrames, SETTINGS_ACK, settings } from '../support/http2-frames.ts';
import { type AttackWorld, MORE_ADDRESSES, OWN_ADDRESS } from './attack-world.ts';
import { Deadline, type Drill } from './drill.ts';
import { closed, waiting } from './http2-flood.ts';

/** Handshakes under way at a time: fewer than make others give way. */
const AT_ONCE = 64;
/** Thousands of handshakes take long where the machine has other work, and this process stands back for all of it. */
const MAX_FILL_MS = 90_000;
const LOOK_MS = 250;
/** What was refused is tried again, not at once. */
const REFUSED_PAUSE_MS = 100;

/** Those that one attacker keeps, all with one context: making one takes longer than a handshake. */
class Hoard {
  readonly #world: AttackWorld;
  readonly #sockets = new Set<TLSSocket>();
  readonly #secureContext: SecureContext;

  constructor(world: AttackWorld) {
    this.#world = world;
    const { chainPem: cert, privateKeyPem: key } = world.attacker;
    this.#secureContext = createSecureContext({ cert, key });
  }

  /** Resolves with whether it came about. */
  async add(localAddress: string): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const from = { ...this.#world.hbone, localAddress };
    const options = { rejectUnauthorized: false, ALPNProtocols: ['h2'], secureContext: this.#secureContext };
    const socket = connect({ ...from, ...options });
    this.#sockets.add(socket);
    socket
      .on('error', () => {})
      .on('close', () => {
        this.#sockets.delete(socket);
        resolve(false);
      });
    socket.on('data', (bytes) => answerPings(socket, Buffer.from(bytes)));
    socket.once('secureConnect', () => {
      socket.write(Buffer.concat([PREFACE, settings(), SETTINGS_ACK]));
      resolve(true);
    });
    return promise;
  }

  async close(): Promise<void> {
    const gone = [...this.#sockets].map(closed);
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(gone);
  }
}

/** An idle peer sends nothing else, each in a piece of its own. */
function answerPings(socket: TLSSocket, bytes: Buffer): void {
  for (const { type, flags, payload } of parseFrames(bytes)) {
    if (type !== FrameType.ping || (flags & FrameFlag.ack) !== 0) continue;
    socket.write(frame(FrameType.ping, FrameFlag.ack, 0, payload));
  }
}

/** Adds connections of these addresses in turn until the limit has answered. */
async function fill(
  world: AttackWorld,
  hoard: Hoard,
  counter: string,
  addresses: readonly string[],
): Promise<void> {
  const count = async () => (await world.node.report()).counters[counter] ?? 0;
  const before = await count();
  const deadline = new Deadline(MAX_FILL_MS);
  let next = 0;
  let isFull = false;
  const adding = Array.from({ length: AT_ONCE }, async () => {
    while (!isFull)
      if (!(await hoard.add(addresses[next++ % addresses.length]!))) await waiting(REFUSED_PAUSE_MS);
  });
  while (!isFull) {
    await waiting(LOOK_MS);
    isFull = deadline.over || (await count()) > before;
  }
  await Promise.all(adding);
}

/** @param others who finds room all the same */
function hoarding(
  limit: string,
  addresses: readonly string[],
  others: readonly string[] = [],
): Pick<Drill, 'counters' | 'attack'> {
  const counter = `ambit_limit_reached_total/${limit}`;
  return {
    counters: [counter],
    async attack(world, deadline) {
      const hoard = new Hoard(world);
      try {
        await fill(world, hoard, counter, addresses);
        for (const other of others)
          assert.ok(await hoard.add(other), `${other} finds no room beside the hoard`);
        await waiting(deadline.leftMs);
      } finally {
        await hoard.close();
      }
    },
  };
}

export const HOARD_DRILLS: readonly Drill[] = [
  {
    name: 'hoard',
    about: 'connections of one peer, as many as it gets',
    ...hoarding('hbone_connections_per_peer', [OWN_ADDRESS], MORE_ADDRESSES.slice(0, 1)),
  },
  {
    name: 'hoard-together',
    about: 'connections of several peers, as many as they get',
    ...hoarding('hbone_connections_per_pod', [OWN_ADDRESS, ...MORE_ADDRESSES]),
  },
];
