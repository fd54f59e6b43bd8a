/** Connections with a good certificate that are kept. */

import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { FrameFlag, FrameType } from '../../src/http/http2-frame.ts';
import { frame, PREFACE, parseFrames, SETTINGS_ACK, settings } from '../support/http2-frames.ts';
import type { AttackWorld } from './attack-world.ts';
import { Deadline } from './drill.ts';
import { closed, waiting } from './http2-flood.ts';

/** Handshakes under way at a time: fewer than make others give way. */
const AT_ONCE = 64;
/** Thousands of handshakes take long where the machine has other work, and this process stands back for all of it. */
const MAX_FILL_MS = 90_000;
/** What was refused is tried again, not at once. */
const REFUSED_PAUSE_MS = 100;

/** Those that one attacker keeps, all with one context: making one takes longer than a handshake. */
export class Hoard {
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

  /**
   * Adds connections of these addresses in turn until there are enough of those that came about, or for as long as that
   * may take.
   */
  async fill(addresses: readonly string[], isEnough: (added: number) => boolean): Promise<void> {
    const deadline = new Deadline(MAX_FILL_MS);
    let next = 0;
    let added = 0;
    const adding = Array.from({ length: AT_ONCE }, async () => {
      while (!isEnough(added) && !deadline.over) {
        if (await this.add(addresses[next++ % addresses.length]!)) added++;
        else await waiting(REFUSED_PAUSE_MS);
      }
    });
    await Promise.all(adding);
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
