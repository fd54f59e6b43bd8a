/** Frames without end at an HBONE port, over TLS with a good certificate. */

import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { openTls } from '../support/hostile-peer.ts';
import { HeaderCodec, PREFACE, SETTINGS_ACK, settings } from '../support/http2-frames.ts';
import type { AttackWorld } from './attack-world.ts';
import type { Deadline } from './drill.ts';

/** What an attacker sends next, given its own compression state; undefined: nothing more. */
export type NextFrames = (round: number, codec: HeaderCodec) => Uint8Array | undefined;

/** Frames handed to the kernel at a time. */
const ROUNDS_PER_WRITE = 50;
/** Between two connections of one attacker. */
const PAUSE_MS = 20;

/** One connection, until the other side has had enough or the time is over. */
export async function floodOnce(world: AttackWorld, deadline: Deadline, next: NextFrames): Promise<void> {
  const socket = openTls(world.hbone, { leaf: world.attacker });
  const gone = closed(socket);
  await Promise.race([once(socket, 'secureConnect').catch(() => {}), gone]);
  socket.resume();
  socket.write(Buffer.concat([PREFACE, settings(), SETTINGS_ACK]));
  const codec = new HeaderCodec();
  let isOver = false;
  for (let round = 0; !isOver && !socket.destroyed && !deadline.over; ) {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < ROUNDS_PER_WRITE && !isOver; i++) {
      const part = next(round++, codec);
      if (part === undefined) isOver = true;
      else parts.push(part);
    }
    if (!socket.write(Buffer.concat(parts)))
      await Promise.race([once(socket, 'drain').catch(() => {}), gone]);
  }
  if (isOver) await Promise.race([gone, waiting(deadline.leftMs)]);
  socket.destroy();
  await gone;
}

/** One connection after the other, each until it is cut. */
export async function floodAgainAndAgain(
  world: AttackWorld,
  deadline: Deadline,
  next: NextFrames,
): Promise<void> {
  while (!deadline.over) {
    await floodOnce(world, deadline, next);
    await waiting(PAUSE_MS);
  }
}

/** Resolves when the connection is over, whoever ended it. */
export function closed(socket: TLSSocket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve());
  });
}

export function waiting(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
