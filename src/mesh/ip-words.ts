/** IP addresses as 32-bit words, so that masks and hash tables need neither strings nor byte arrays. */

import type { IpAddress, IpFamily } from '../base/ip.ts';

/** The address from its most significant word on; an IPv4 address is in w0 alone. Words are signed. */
export interface IpWords {
  readonly family: IpFamily;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

const COLON = 0x3a;
const DOT = 0x2e;
const DIGIT_ZERO = 0x30;
const DIGIT_NINE = 0x39;
/** 'a' stands for 10. */
const HEX_OFFSET = 0x61 - 10;

export function ipWords(ip: IpAddress): IpWords {
  return ip.includes(':') ? ipv6Words(ip) : { family: 4, w0: ipv4Word(ip), w1: 0, w2: 0, w3: 0 };
}

/** The words of 4 or 16 bytes in network order. */
export function wordsOfBytes(bytes: Uint8Array): IpWords {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const w0 = view.getInt32(0);
  if (bytes.length === 4) return { family: 4, w0, w1: 0, w2: 0, w3: 0 };
  return { family: 6, w0, w1: view.getInt32(4), w2: view.getInt32(8), w3: view.getInt32(12) };
}

function ipv4Word(ip: string): number {
  let word = 0;
  let octet = 0;
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i);
    if (code === DOT) {
      word = (word << 8) | octet;
      octet = 0;
    } else octet = octet * 10 + code - DIGIT_ZERO;
  }
  return (word << 8) | octet;
}

/** Only canonical text comes here: lower case, no dotted tail. */
function ipv6Words(ip: string): IpWords {
  const groups = new Uint16Array(8);
  let filled = 0;
  let gap = -1;
  let inGroup = false;
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i);
    if (code !== COLON) {
      groups[filled] = (groups[filled]! << 4) | (code <= DIGIT_NINE ? code - DIGIT_ZERO : code - HEX_OFFSET);
      inGroup = true;
      continue;
    }
    if (inGroup) filled++;
    else gap = filled;
    inGroup = false;
  }
  if (inGroup) filled++;
  if (gap >= 0) openGap(groups, gap, filled);
  return { family: 6, w0: pair(groups, 0), w1: pair(groups, 2), w2: pair(groups, 4), w3: pair(groups, 6) };
}

/** Moves what followed `::` to the end. */
function openGap(groups: Uint16Array, gap: number, filled: number): void {
  const tail = filled - gap;
  groups.copyWithin(8 - tail, gap, filled);
  groups.fill(0, gap, 8 - tail);
}

function pair(groups: Uint16Array, at: number): number {
  return (groups[at]! << 16) | groups[at + 1]!;
}
