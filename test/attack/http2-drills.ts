/** The catalogue of HTTP/2 attacks against the HBONE port of a pod, by somebody with a certificate of the mesh. */

import { FrameFlag, FrameType } from '../../src/http/http2-frame.ts';
import { MAX_SETTINGS_ENTRIES } from '../../src/http/http2-limits.ts';
import {
  data,
  frame,
  HeaderCodec,
  ping,
  rstStream,
  settings,
  windowUpdate,
} from '../support/http2-frames.ts';
import { TUNNEL } from './attack-world.ts';
import type { Drill } from './drill.ts';
import { floodAgainAndAgain, type NextFrames } from './http2-flood.ts';

/** Nobody listens there: the answer takes no work of an application. */
const NOWHERE = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.2:9'],
] as const;
const CANCEL = 8;
const BOMB_FIELD_BYTES = 4000;
/** References to one field of the table: a hundred megabytes, if they were written out. */
const BOMB_REFERENCES = 30_000;
const FIRST_DYNAMIC_REFERENCE = 0x80 | 62;
/** 128 KiB together. */
const LARGE_FIELDS = 64;
const LARGE_FIELD_BYTES = 2048;
const PROTECTION = 'ambit_http2_protection_total/';

/** A literal field without name or value, Huffman-coded both (RFC 7541 §6.2.2): nothing that takes three octets. */
const EMPTY_FIELD = [0x00, 0x80, 0x80];
const EMPTY_FIELDS = 100;
/** An integer that does not end (RFC 7541 §5.1). */
const MALFORMED_BLOCK = Buffer.alloc(16, 0xff);
/** Together they push everything else out of a table of 4 KiB. */
const THRASHING_FIELDS = 30;
const THRASHING_BYTES = 120;
const THRASHING_CONNECTIONS = 8;

function idOf(round: number): number {
  return 2 * round + 1;
}

/** A drill that sends frames again and again and is cut off for it. */
function flood(name: string, about: string, counter: string, next: NextFrames): Drill {
  return {
    name,
    about,
    counters: [PROTECTION + counter],
    code: 'AMBIT_HTTP2_FLOOD',
    attack: (world, deadline) => floodAgainAndAgain(world, deadline, next),
  };
}

/** First a tunnel, then the same frame for ever. */
function afterTunnel(repeated: Uint8Array): NextFrames {
  return (round, codec) => (round === 0 ? codec.headers(1, TUNNEL) : repeated);
}

function bomb(round: number, codec: HeaderCodec): Uint8Array {
  const filled = [...NOWHERE, ['x-bomb', 'b'.repeat(BOMB_FIELD_BYTES)] as const];
  if (round === 0) return codec.headers(1, filled);
  const block = Buffer.concat([codec.block(NOWHERE), Buffer.alloc(BOMB_REFERENCES, FIRST_DYNAMIC_REFERENCE)]);
  // Larger than a frame of the default size may be: ours takes it.
  return frame(FrameType.headers, FrameFlag.endHeaders, idOf(round), block);
}

/** Indexed from the second request on, so that few bytes stand for all of it. */
function largeHeaders(round: number, codec: HeaderCodec): Uint8Array {
  const fields = Array.from(
    { length: LARGE_FIELDS },
    () => ['x-large', 'l'.repeat(LARGE_FIELD_BYTES)] as const,
  );
  return codec.headers(idOf(round), [...NOWHERE, ...fields]);
}

function emptyFields(round: number, codec: HeaderCodec): Uint8Array {
  const fields = Buffer.from(Array.from({ length: EMPTY_FIELDS }, () => EMPTY_FIELD).flat());
  const block = Buffer.concat([codec.block(NOWHERE), fields]);
  return frame(FrameType.headers, FrameFlag.endHeaders, idOf(round), block);
}

/** Encoded once, without references to the table, so that it is good for each request and costs its sender nothing. */
const thrashingBlock = new HeaderCodec().block([
  ...NOWHERE,
  ...Array.from({ length: THRASHING_FIELDS }, (_, i) => [`x-${i}`, '-'.repeat(THRASHING_BYTES)] as const),
]);

function thrash(round: number): Uint8Array {
  return frame(FrameType.headers, FrameFlag.endHeaders, idOf(round), thrashingBlock);
}

const largeSettings = settings(...Array.from({ length: MAX_SETTINGS_ENTRIES + 1 }, () => [0x99, 1] as const));
const overflow = windowUpdate(0, 0x7fff_ffff);

export const HTTP2_DRILLS: readonly Drill[] = [
  flood('rapid-reset', 'CVE-2023-44487', 'rapidResetsFlood', (round, codec) =>
    Buffer.concat([codec.headers(idOf(round), TUNNEL), rstStream(idOf(round), CANCEL)]),
  ),
  flood('made-you-reset', 'CVE-2025-8671', 'provokedResetsFlood', (round, codec) =>
    Buffer.concat([codec.headers(idOf(round), NOWHERE), windowUpdate(idOf(round), 0)]),
  ),
  flood('continuation', 'CVE-2024-27983, -28182, -30255', 'headerBlocksFlood', (round) =>
    round === 0 ? frame(FrameType.headers, 0, 1, Buffer.of(0x82)) : frame(FrameType.continuation, 0, 1),
  ),
  flood('hpack-bomb', 'one octet for four kilobytes', 'headerBombsFlood', bomb),
  {
    ...flood(
      'large-headers',
      'header lists of twice the size that is taken',
      'provokedResetsFlood',
      largeHeaders,
    ),
    counters: [`${PROTECTION}headerListsTooLarge`, `${PROTECTION}provokedResetsFlood`],
  },
  flood('empty-fields', 'CVE-2019-9514, -9516', 'provokedResetsFlood', emptyFields),
  {
    name: 'table-thrash',
    about: 'a header table that is filled anew by each request',
    counters: [`${PROTECTION}tableInsertionsFlood`, 'ambit_limit_reached_total/turn_share_per_pod'],
    code: 'AMBIT_HTTP2_FLOOD',
    attack: async (world, deadline) => {
      const one = () => floodAgainAndAgain(world, deadline, thrash);
      await Promise.all(Array.from({ length: THRASHING_CONNECTIONS }, one));
    },
  },
  {
    ...flood('malformed-hpack', 'CVE-2025-59465', 'protocolErrors', () =>
      frame(FrameType.headers, FrameFlag.endHeaders, 1, MALFORMED_BLOCK),
    ),
    code: 'AMBIT_HTTP2_DOWNSTREAM_VIOLATION',
  },
  flood('settings', 'CVE-2019-9515', 'settingsFramesFlood', () => settings()),
  flood('large-settings', 'CVE-2020-11080', 'settingsEntriesFlood', () => largeSettings),
  flood('ping', 'CVE-2019-9512', 'pingsFlood', () => ping()),
  flood('priority', 'CVE-2019-9513', 'priorityFramesFlood', () =>
    frame(FrameType.priority, 0, 1, Buffer.alloc(5)),
  ),
  flood('empty-data', 'CVE-2019-9518', 'emptyFramesFlood', afterTunnel(data(1, ''))),
  flood('window-updates', 'CVE-2019-9511, -9517', 'windowUpdatesFlood', () => windowUpdate(0, 1)),
  flood('unknown-frames', 'CVE-2026-48619 (ORIGIN, ALTSVC)', 'glitchesFlood', () =>
    frame(0x0c, 0, 0, Buffer.from('origin')),
  ),
  {
    ...flood('window-overflow', 'CVE-2026-21714', 'protocolErrors', () => overflow),
    code: 'AMBIT_HTTP2_DOWNSTREAM_VIOLATION',
  },
];
