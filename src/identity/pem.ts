/** PEM armour (RFC 7468): reading it strictly, writing it. */

import { identityErrors } from './errors.ts';

const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----[ \t]*$/;
const BASE64_LINE = /^[A-Za-z0-9+/]{1,128}={0,2}[ \t]*$/;
const LINE_LENGTH = 64;

export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
}

export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  const lines: string[] = [];
  for (let i = 0; i < base64.length; i += LINE_LENGTH) lines.push(base64.slice(i, i + LINE_LENGTH));
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * All blocks of a text, in order; text between blocks is passed over, as tools write comments there.
 * Throws AMBIT_PEM_MALFORMED when a block is not closed, not base64, empty, or has headers (an encrypted key).
 */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let label: string | undefined;
  let body: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const boundary = BOUNDARY.exec(line);
    if (boundary === null) {
      if (label !== undefined) body.push(line);
    } else if (boundary[1] === 'BEGIN' && label === undefined) {
      label = boundary[2]!;
      body = [];
    } else if (boundary[1] === 'END' && label === boundary[2]) {
      blocks.push({ label, der: decodeBody(label, body) });
      label = undefined;
    } else {
      throw malformed(`the line "${line}" is out of place`);
    }
  }
  if (label !== undefined) throw malformed(`the block "${label}" has no end`);
  return blocks;
}

/** The DER of all certificates of a text, in order; throws AMBIT_PEM_MALFORMED when any other block is among them. */
export function decodeCertificates(text: string): Uint8Array[] {
  return decodePem(text).map((block) => {
    if (block.label !== 'CERTIFICATE') throw malformed(`a block is "${block.label}", not a certificate`);
    return block.der;
  });
}

function decodeBody(label: string, lines: readonly string[]): Uint8Array {
  const wrong = lines.findIndex(
    (line, i) => !BASE64_LINE.test(line) || (line.includes('=') && i < lines.length - 1),
  );
  if (wrong >= 0) throw malformed(`line ${wrong + 1} of the block "${label}" is not base64`);
  const base64 = lines.map((line) => line.trimEnd()).join('');
  const der = Buffer.from(base64, 'base64');
  if (der.length === 0 || base64.length % 4 !== 0)
    throw malformed(`the block "${label}" is empty or cut off`);
  return der;
}

function malformed(what: string): Error {
  return identityErrors.AMBIT_PEM_MALFORMED(`malformed PEM: ${what}`);
}
