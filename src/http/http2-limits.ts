/** How much oddity a peer is allowed: every limit of the HTTP/2 layer with its unit and its reason. */

/** SETTINGS entries in one frame (CVE-2020-11080: large SETTINGS cost time); RFC 9113 defines six. */
export const MAX_SETTINGS_ENTRIES = 32;
/** CONTINUATION frames of one header block (CVE-2024-27983 and kin); 64 KiB of fields take four of the usual size. */
export const MAX_CONTINUATIONS = 8;
/** Encoded octets of one header block, as a multiple of the decoded list that we take: coding may lengthen a little. */
export const HEADER_BLOCK_FACTOR = 2;
/** A header list that grows beyond so many times what we have announced is a bomb, and is not decoded to its end. */
export const HEADER_BOMB_FACTOR = 8;
/** Fields of one header list: bounds what one-octet references can grow into. */
export const MAX_HEADER_FIELDS = 128;
/**
 * Entries that a header block may put into its table (RFC 7541 §6.2.1): the few that differ from request to request, and
 * on a new connection all of them, which the bucket has room for. Who fills the table anew each time uses no entry twice.
 */
export const INSERTIONS_PER_BLOCK = 16;
/** Replies waiting for room because the peer does not read them (CVE-2019-9512, -9515). */
export const MAX_QUEUED_REPLIES = 1000;
/** Octets at the end of the output that only control frames may use, so that they rarely have to wait. */
export const CONTROL_RESERVE_BYTES = 8192;
/** Octets below those that header blocks must leave too. */
export const HEADER_RESERVE_BYTES = 4096;
/** With less room than this a DATA frame waits for the next flush: small frames cost more than they carry. */
export const MIN_DATA_BYTES = 2048;
/** Closed streams remembered, to tell a late frame from a violation. */
export const REMEMBERED_STREAMS = 128;
/** The peer's first SETTINGS, and its acknowledgement of ours, must have come by then. */
export const SETTINGS_TIMEOUT_MS = 10_000;
/** A peer that lets nothing through for so long is cut: no progress of what is sealed at a time (256 KiB). */
export const OUTPUT_STALL_MS = 30_000;
/** After GOAWAY the peer may still be sending; without reading on, the kernel's RST would destroy the GOAWAY. */
export const LINGER_MS = 1000;

/** Frames of one connection that are handled before others get their turn. */
export const FRAMES_PER_TURN = 512;
/** And for how long, in ms, once there are header blocks among them. */
export const PORTION_MS = 0.1;
/** Octets of DATA that count as one more: all that is handled at once are 64 KiB, and the chunk that goes beyond. */
export const DATA_OCTETS_PER_FRAME = 128;
/** What a header block counts as: it may be a request, for which a connection to the application is opened. */
export const FRAMES_PER_HEADER_BLOCK = 32;
/** Octets of a header block that count as one more: each may stand for a field. */
export const HEADER_OCTETS_PER_FRAME = 64;

/** A token bucket: so many at once, and so many per second in the long run. */
export interface FloodLimit {
  readonly burst: number;
  readonly perSecond: number;
}

/** What is counted against a bucket; the names are those of the counters in Http2Counters. */
export const floodLimits = {
  /** Requests reset before we answered (CVE-2023-44487). Every answered request gives one token back. */
  rapidResets: { burst: 1000, perSecond: 33 },
  /** Resets that the peer made us send (MadeYouReset, CVE-2025-8671). */
  provokedResets: { burst: 1000, perSecond: 33 },
  /** Each costs an acknowledgement (CVE-2019-9515). */
  settingsFrames: { burst: 128, perSecond: 8 },
  /** Each costs an acknowledgement (CVE-2019-9512); bandwidth probes of gRPC peers come often. */
  pings: { burst: 2000, perSecond: 200 },
  /** Ignored, but parsed (CVE-2019-9513). Every stream gives some back: old clients send one with each. */
  priorityFrames: { burst: 1000, perSecond: 100 },
  /** DATA without data and without END_STREAM (CVE-2019-9518). */
  emptyFrames: { burst: 1000, perSecond: 100 },
  /** Every DATA frame of ours gives some back, since that is what they answer (CVE-2019-9511, -9517). */
  windowUpdates: { burst: 5000, perSecond: 500 },
  /** Those of a header block beyond the first {@link INSERTIONS_PER_BLOCK}: each makes the entries before it worthless. */
  tableInsertions: { burst: 10_000, perSecond: 330 },
  /** Anything else that a sound peer hardly ever does. */
  glitches: { burst: 10_000, perSecond: 330 },
} as const satisfies Readonly<Record<string, FloodLimit>>;

export type FloodKind = keyof typeof floodLimits;
/** A smaller DATA frame that uses a window up is one that the peer has made small (CVE-2019-9511): it earns nothing. */
export const MIN_EARNING_DATA_BYTES = 1024;
/** Tokens of `windowUpdates` earned per DATA frame sent, and per stream opened. */
export const WINDOW_UPDATES_PER_DATA = 2;
export const WINDOW_UPDATES_PER_STREAM = 4;
/** Tokens of `priorityFrames` earned per stream opened. */
export const PRIORITIES_PER_STREAM = 2;
