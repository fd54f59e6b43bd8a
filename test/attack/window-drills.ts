/** Games with flow control and with patience, on tunnels to an application that sends without end. */

import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { FrameFlag, FrameType } from '../../src/http/http2-frame.ts';
import { OUTPUT_STALL_MS } from '../../src/http/http2-limits.ts';
import { openHttp2, openTls } from '../support/hostile-peer.ts';
import {
  data,
  frame,
  HeaderCodec,
  PREFACE,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from '../support/http2-frames.ts';
import { type AttackWorld, TUNNEL } from './attack-world.ts';
import type { Deadline, Drill } from './drill.ts';
import { closed, floodAgainAndAgain, waiting } from './http2-flood.ts';
import { BULK, DEAF } from './pacer-main.ts';
import { withSysctls } from './pod-sysctls.ts';

const INITIAL_WINDOW_SIZE = 4;
export const HUGE_WINDOW = 0x7fff_0000;
/** Ten of them are refused. */
const TUNNELS = 210;
/** If all of them meet one reactor, their tunnels are still fewer than the 750 connections that it lets a pod have here. */
const CONNECTIONS = 3;
/** Two ticks of keep-alive, and some time. */
const HEADER_DRILL_MS = 25_000;
const STALL_DRILL_MS = OUTPUT_STALL_MS + 15_000;
/** Hundreds of megabytes, from somebody who stands back. */
const UPLOAD_DRILL_MS = 10_000;
const DRIP_MS = 200;
/** Together they may have more on its way than a pod may hold, on both reactors. */
const UPLOADING = { connections: 48, tunnels: 4, bytesPerTunnel: 4 * 1024 * 1024 };
/** Of the victim's sockets, in bytes, so that what an application does not read stays with the proxy. */
export const SMALL_SOCKETS = '4096 16384 16384';

export async function opened(world: AttackWorld, streamWindow: number): Promise<TLSSocket> {
  const socket = openTls(world.hbone, { leaf: world.attacker });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.write(Buffer.concat([PREFACE, settings([INITIAL_WINDOW_SIZE, streamWindow]), SETTINGS_ACK]));
  return socket;
}

/** Tunnels that ask the application for bytes without end. */
export function bulkTunnels(count: number): Buffer {
  const codec = new HeaderCodec();
  const frames = Array.from({ length: count }, (_, i) => [
    codec.headers(2 * i + 1, TUNNEL),
    data(2 * i + 1, BULK),
  ]);
  return Buffer.concat(frames.flat());
}

export async function onConnections(begin: () => Promise<TLSSocket>, deadline: Deadline): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, begin));
  const gone = Promise.all(sockets.map(closed));
  await Promise.race([gone, waiting(deadline.leftMs)]);
  for (const socket of sockets) socket.destroy();
  await gone;
}

async function zeroWindow(world: AttackWorld): Promise<TLSSocket> {
  const socket = await opened(world, 0);
  socket.resume().write(bulkTunnels(TUNNELS));
  return socket;
}

async function slowRead(world: AttackWorld): Promise<TLSSocket> {
  const socket = await opened(world, HUGE_WINDOW);
  socket.write(Buffer.concat([windowUpdate(0, HUGE_WINDOW), bulkTunnels(20)]));
  socket.pause();
  // Signs of life are no reading.
  const timer = setInterval(() => socket.write(windowUpdate(0, 1)), DRIP_MS);
  socket.once('close', () => clearInterval(timer));
  return socket;
}

/** Sends all that windows allow to an application that never reads. */
async function upload(world: AttackWorld): Promise<ClientHttp2Session> {
  const { tunnels, bytesPerTunnel } = UPLOADING;
  const session = await openHttp2(world.hbone, world.attacker);
  const bytes = Buffer.alloc(bytesPerTunnel, DEAF);
  for (let i = 0; i < tunnels; i++) {
    const tunnel = session.request({ ':method': 'CONNECT', ':authority': TUNNEL[1][1] });
    tunnel.on('error', () => {}).resume();
    tunnel.write(bytes);
  }
  return session;
}

async function uploadTogether(world: AttackWorld, deadline: Deadline): Promise<void> {
  const sizes = { tcp_rmem: SMALL_SOCKETS, tcp_wmem: SMALL_SOCKETS };
  await withSysctls(world.scene.victim, sizes, async () => {
    const sessions = await Promise.all(Array.from({ length: UPLOADING.connections }, () => upload(world)));
    await waiting(deadline.leftMs);
    for (const session of sessions) session.destroy();
  });
}

async function slowHeaders(world: AttackWorld): Promise<TLSSocket> {
  const socket = await opened(world, 0);
  socket.resume().write(frame(FrameType.headers, 0, 1, Buffer.of(0x82)));
  const block = frame(FrameType.continuation, FrameFlag.endHeaders, 1, Buffer.alloc(1000, 0x82));
  let next = 0;
  const timer = setInterval(() => socket.write(block.subarray(next, ++next)), DRIP_MS);
  socket.once('close', () => clearInterval(timer));
  return socket;
}

export const WINDOW_DRILLS: readonly Drill[] = [
  {
    name: 'zero-window',
    about: 'tunnels in bulk, and never a window',
    counters: [
      'ambit_limit_reached_total/tunnels_per_connection',
      'ambit_http2_protection_total/refusedStreams',
    ],
    attack: (world, deadline) => onConnections(() => zeroWindow(world), deadline),
  },
  {
    name: 'data-dribble',
    about: 'CVE-2019-9511: a window of one octet, again and again',
    counters: ['ambit_http2_protection_total/windowUpdatesFlood'],
    code: 'AMBIT_HTTP2_FLOOD',
    attack: (world, deadline) =>
      floodAgainAndAgain(world, deadline, (round, codec) => {
        if (round > 0) return windowUpdate(1, 1);
        return Buffer.concat([settings([INITIAL_WINDOW_SIZE, 0]), codec.headers(1, TUNNEL), data(1, BULK)]);
      }),
  },
  {
    name: 'slow-read',
    about: 'CVE-2019-9517: windows without end, and nothing is read',
    counters: ['ambit_http2_protection_total/outputStalls'],
    code: 'AMBIT_HTTP2_UNRESPONSIVE',
    attackMs: STALL_DRILL_MS,
    attack: (world, deadline) => onConnections(() => slowRead(world), deadline),
  },
  {
    name: 'deaf-application',
    about: 'all that windows allow, to an application that never reads',
    counters: ['ambit_limit_reached_total/held_bytes_per_pod'],
    attackMs: UPLOAD_DRILL_MS,
    attack: uploadTogether,
  },
  {
    name: 'slow-headers',
    about: 'slow-loris in a header block',
    counters: ['ambit_http2_protection_total/headerTimeouts'],
    code: 'AMBIT_HTTP2_UNRESPONSIVE',
    attackMs: HEADER_DRILL_MS,
    attack: (world, deadline) => onConnections(() => slowHeaders(world), deadline),
  },
];
