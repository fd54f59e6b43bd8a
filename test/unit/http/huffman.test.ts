import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  HUFFMAN_INVALID,
  HUFFMAN_MAX_EXPANSION,
  huffmanDecode,
  huffmanEncode,
  huffmanLength,
} from '../../../src/http/huffman.ts';

function encode(text: string): Uint8Array {
  const out = new Uint8Array(huffmanLength(text));
  assert.equal(huffmanEncode(text, out, 0), out.length);
  return out;
}

function decode(bytes: Uint8Array): string | undefined {
  const out = Buffer.alloc(Math.ceil(bytes.length * HUFFMAN_MAX_EXPANSION));
  const length = huffmanDecode(bytes, 0, bytes.length, out);
  return length === HUFFMAN_INVALID ? undefined : out.toString('latin1', 0, length);
}

test('encodes the examples of RFC 7541 appendix C', () => {
  assert.equal(Buffer.from(encode('www.example.com')).toString('hex'), 'f1e3c2e5f23a6ba0ab90f4ff');
  assert.equal(Buffer.from(encode('no-cache')).toString('hex'), 'a8eb10649cbf');
  assert.equal(Buffer.from(encode('custom-value')).toString('hex'), '25a849e95bb8e8b4bf');
  assert.equal(
    Buffer.from(encode('Mon, 21 Oct 2013 20:13:21 GMT')).toString('hex'),
    'd07abe941054d444a8200595040b8166e082a62d1bff',
  );
});

test('decodes what it encodes, for every octet', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      assert.equal(decode(encode(text)), text);
    }),
  );
});

test('never decodes to more than the room it says it needs, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const room = Math.ceil(bytes.length * HUFFMAN_MAX_EXPANSION);
      const length = huffmanDecode(bytes, 0, bytes.length, new Uint8Array(room));
      assert.ok(length === HUFFMAN_INVALID || (length >= 0 && length <= room));
    }),
  );
});

test('refuses EOS, padding that is not all ones, and padding of a whole octet', () => {
  // `a` is 00011.
  assert.equal(decode(Uint8Array.of(0x1f)), 'a');
  assert.equal(decode(Uint8Array.of(0x18)), undefined);
  assert.equal(decode(Uint8Array.of(0x1f, 0xff)), undefined);
  assert.equal(decode(Uint8Array.of(0xff, 0xff, 0xff, 0xff)), undefined);
});
