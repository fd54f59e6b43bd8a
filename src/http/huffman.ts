/** The Huffman code of HPACK (RFC 7541 §5.2, appendix B): lengths, encoding, and decoding by a table of nibbles. */

/** Bits of the code of each octet; the last one is EOS. The code is canonical, so the lengths say everything. */
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const EOS = 256;
const INNER_NODES = 256;

/** A decoded string is at most this much longer than its encoding: the shortest code has 5 bits for 8. */
export const HUFFMAN_MAX_EXPANSION = 8 / 5;

/** Returned by {@link huffmanDecode} for a code that does not exist, EOS, or wrong padding. */
export const HUFFMAN_INVALID = -1;

const codes = canonicalCodes();

/**
 * Per inner node and nibble: bits 0-7 the next node, bits 8-15 a symbol, bit 16 that there is one, bit 17 failure.
 * A nibble completes at most one symbol, since no code is shorter than 5 bits.
 */
const HAS_SYMBOL = 1 << 16;
const FAILURE = 1 << 17;
const accepting = new Uint8Array(INNER_NODES);
const transitions = buildTransitions();

function canonicalCodes(): Uint32Array {
  const order = CODE_LENGTHS.map((_, symbol) => symbol).sort(
    (a, b) => CODE_LENGTHS[a]! - CODE_LENGTHS[b]! || a - b,
  );
  const result = new Uint32Array(CODE_LENGTHS.length);
  let code = 0;
  let length = 0;
  for (const symbol of order) {
    code <<= CODE_LENGTHS[symbol]! - length;
    length = CODE_LENGTHS[symbol]!;
    result[symbol] = code++;
  }
  return result;
}

/** Children of node n at 2n and 2n+1: an inner node, or ~symbol. */
function buildTree(): Int32Array {
  const children = new Int32Array(INNER_NODES * 2);
  let nodes = 1;
  CODE_LENGTHS.forEach((length, symbol) => {
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const slot = node * 2 + ((codes[symbol]! >>> bit) & 1);
      if (children[slot] === 0) children[slot] = nodes++;
      node = children[slot]!;
    }
    children[node * 2 + (codes[symbol]! & 1)] = ~symbol;
  });
  return children;
}

function buildTransitions(): Uint32Array {
  const children = buildTree();
  const table = new Uint32Array(INNER_NODES * 16);
  for (let node = 0; node < INNER_NODES; node++) {
    for (let nibble = 0; nibble < 16; nibble++)
      table[node * 16 + nibble] = walkNibble(children, node, nibble);
  }
  // Padding is the beginning of EOS, which is all ones, and shorter than an octet (RFC 7541 §5.2).
  for (let node = 0, depth = 0; depth < 8; depth++, node = children[node * 2 + 1]!) accepting[node] = 1;
  return table;
}

function walkNibble(children: Int32Array, start: number, nibble: number): number {
  let node = start;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node * 2 + ((nibble >>> bit) & 1)]!;
    if (next >= 0) {
      node = next;
      continue;
    }
    if (~next === EOS) return FAILURE;
    emitted = HAS_SYMBOL | (~next << 8);
    node = 0;
  }
  return emitted | node;
}

/** Octets that the text takes when Huffman-coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += CODE_LENGTHS[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** Writes the text at the offset and returns the offset behind it; the caller made sure of the room. */
export function huffmanEncode(text: string, out: Uint8Array, offset: number): number {
  let at = offset;
  let hold = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i) & 0xff;
    let rest = CODE_LENGTHS[octet]!;
    // Fed octet by octet: up to 7 held bits and a whole code of 30 would not fit into 32.
    while (rest > 0) {
      const count = Math.min(rest, 8);
      rest -= count;
      hold = ((hold << count) | ((codes[octet]! >>> rest) & ((1 << count) - 1))) & 0xffff;
      held += count;
      if (held < 8) continue;
      held -= 8;
      out[at++] = hold >>> held;
    }
  }
  if (held > 0) out[at++] = (hold << (8 - held)) | (0xff >>> held);
  return at;
}

/** Decodes [start, end) into `out` from 0 and returns the number of octets, or HUFFMAN_INVALID. */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let node = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!;
    const high = transitions[node * 16 + (octet >>> 4)]!;
    if ((high & HAS_SYMBOL) !== 0) out[length++] = high >>> 8;
    const low = transitions[(high & 0xff) * 16 + (octet & 15)]!;
    if (((high | low) & FAILURE) !== 0) return HUFFMAN_INVALID;
    if ((low & HAS_SYMBOL) !== 0) out[length++] = low >>> 8;
    node = low & 0xff;
  }
  return accepting[node] === 1 ? length : HUFFMAN_INVALID;
}
