/** The `traceparent` field: one random trace per captured connection (W3C Trace Context §3.2). */

import { randomFillSync } from 'node:crypto';

/** Trace id of 16 bytes and parent id of 8. */
const RANDOM_BYTES = 24;
/** Random bytes are drawn for this many connections at once: a draw costs a microsecond however small it is. */
const DRAWN_AT_ONCE = 64;
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const ZEROS = /^..-0{32}-|-0{16}-..$/;

const pool = Buffer.alloc(RANDOM_BYTES * DRAWN_AT_ONCE);
let next = pool.length;

/** `00-<32 hexadecimal digits>-<16>-00`: not sampled, since nobody records spans here. */
export function newTraceparent(): string {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  const hex = pool.toString('hex', next, next + RANDOM_BYTES);
  next += RANDOM_BYTES;
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-00`;
}

/** The text when it is a valid traceparent of 55 characters, else undefined. */
export function parseTraceparent(text: string): string | undefined {
  return TRACEPARENT.test(text) && !ZEROS.test(text) ? text : undefined;
}
