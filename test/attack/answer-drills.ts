/** Answers that nobody takes, that never come, or that come to nothing. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { floodLimits } from '../../src/http/http2-limits.ts';
import { defaultHttp2Settings } from '../../src/http/http2-settings.ts';
import { ping, windowUpdate } from '../support/http2-frames.ts';
import { type AttackWorld, OWN_ADDRESS, TUNNEL } from './attack-world.ts';
import type { Deadline, Drill } from './drill.ts';
import { closed, floodAgainAndAgain, waiting } from './http2-flood.ts';
import { flooding, RESOLVER } from './pod-drills.ts';
import { withSysctls } from './pod-sysctls.ts';
import { bulkTunnels, HUGE_WINDOW, onConnections, opened, SMALL_SOCKETS } from './window-drills.ts';

const BULK_TUNNELS = 4;
/** Until the output of a connection that is not read has filled, as a rule. */
const FILL_MS = 500;
const TICK_MS = 100;
/** More than may wait for room, fewer than make a flood by themselves. */
const AT_ONCE = floodLimits.pings.burst - 100;
const AT_EACH_TICK = (floodLimits.pings.perSecond * TICK_MS) / 1000 - 1;
const UNREAD_DRILL_MS = 12_000;
/** Fields of a connection have no meaning in HTTP/2 (RFC 9113 §8.2.2). */
const MALFORMED = [...TUNNEL, ['connection', 'close']] as const;
const { keepAliveIntervalMs, keepAliveTimeoutMs } = defaultHttp2Settings;
const KEEP_ALIVE_DRILL_MS = keepAliveIntervalMs + keepAliveTimeoutMs + 5000;
const DNS_PORT = 53;

/** Has an application fill the connection, and asks for answers that find no room, until it is cut. */
async function askUnread(world: AttackWorld, deadline: Deadline): Promise<void> {
  const socket = await opened(world, HUGE_WINDOW);
  const gone = closed(socket);
  socket.pause();
  socket.write(Buffer.concat([windowUpdate(0, HUGE_WINDOW), bulkTunnels(BULK_TUNNELS)]));
  await waiting(FILL_MS);
  socket.write(pings(AT_ONCE));
  // Where it was not full by then, these find it so.
  const timer = setInterval(() => socket.write(pings(AT_EACH_TICK)), TICK_MS);
  await Promise.race([gone, waiting(deadline.leftMs)]);
  clearInterval(timer);
  socket.destroy();
  await gone;
}

function pings(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => ping()));
}

/** A nameserver that takes questions and never answers, for as long as a pod asks it. */
async function askingInVain(world: AttackWorld, deadline: Deadline): Promise<void> {
  const nameserver = createSocket('udp4');
  let questions = 0;
  nameserver.on('message', () => questions++).bind(DNS_PORT, OWN_ADDRESS);
  await once(nameserver, 'listening');
  try {
    await flooding(world, deadline, { kind: 'dns', ...RESOLVER, count: 50, name: 'elsewhere.test' });
  } finally {
    nameserver.close();
  }
  assert.ok(questions > 0, 'no question has reached the nameserver');
}

export const ANSWER_DRILLS: readonly Drill[] = [
  {
    name: 'unread-replies',
    about: 'CVE-2019-9512, -9515: answers that have to wait because nothing is read',
    counters: ['ambit_http2_protection_total/queuedRepliesFlood'],
    code: 'AMBIT_HTTP2_FLOOD',
    attackMs: UNREAD_DRILL_MS,
    attack: (world, deadline) =>
      withSysctls(world.scene.victim, { tcp_wmem: SMALL_SOCKETS }, async () => {
        while (!deadline.over) await askUnread(world, deadline);
      }),
  },
  {
    name: 'malformed-requests',
    about: 'requests with fields that HTTP/2 forbids',
    counters: [
      'ambit_http2_protection_total/malformedMessages',
      'ambit_http2_protection_total/provokedResetsFlood',
    ],
    code: 'AMBIT_HTTP2_FLOOD',
    attack: (world, deadline) =>
      floodAgainAndAgain(world, deadline, (round, codec) => codec.headers(2 * round + 1, MALFORMED)),
  },
  {
    name: 'pings-unanswered',
    about: 'connections whose other end has gone without a word',
    counters: ['ambit_http2_protection_total/keepAliveTimeouts'],
    code: 'AMBIT_HTTP2_UNRESPONSIVE',
    attackMs: KEEP_ALIVE_DRILL_MS,
    attack: (world, deadline) =>
      onConnections(async () => (await opened(world, HUGE_WINDOW)).resume(), deadline),
  },
  {
    name: 'dns-unanswered',
    about: 'questions without end for a nameserver that is silent',
    counters: ['ambit_limit_reached_total/dns_pending_queries'],
    attack: askingInVain,
  },
];
