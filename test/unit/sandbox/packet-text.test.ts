import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { describeSegment, parseSegment } from '../../../src/sandbox/packets/packet-text.ts';

const TCP_HEADER = [0x9c, 0xb0, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0, 63, 0, 0, 0, 0];
const TEXT = [...Buffer.from('GET /\r\n')];
const ETHERNET = (type: number) => [...new Array<number>(12).fill(2), type >> 8, type & 0xff];
const IPV4 = [0x45, 0, 0, 40 + TEXT.length, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 244, 1, 3, 10, 244, 2, 4];
const FD = (last: number) => [0xfd, ...new Array<number>(14).fill(0), last];
const IPV6 = [0x60, 0, 0, 0, 0, 20 + TEXT.length, 6, 64, ...FD(1), ...FD(2)];

test('a segment shows who sends what to whom, for both families', () => {
  const v4 = parseSegment(Uint8Array.from([...ETHERNET(0x0800), ...IPV4, ...TCP_HEADER, ...TEXT]))!;
  assert.equal(describeSegment(v4), '10.244.1.3:40112 > 10.244.2.4:8080 7 bytes GET /..');
  const v6 = parseSegment(Uint8Array.from([...ETHERNET(0x86dd), ...IPV6, ...TCP_HEADER, ...TEXT]))!;
  assert.equal(describeSegment(v6), '[fd00::1]:40112 > [fd00::2]:8080 7 bytes GET /..');
});

test('padding behind a short packet is not taken for payload', () => {
  const frame = [...ETHERNET(0x0800), ...IPV4, ...TCP_HEADER, ...TEXT, 0, 0, 0, 0];
  assert.equal(parseSegment(Uint8Array.from(frame))?.payload.length, TEXT.length);
});

test('a packet of more than 64 KiB, which says 0 of its length, is as long as it is', () => {
  const header = [...IPV4.slice(0, 2), 0, 0, ...IPV4.slice(4)];
  const payload = new Uint8Array(100_000);
  const frame = Buffer.concat([Buffer.from([...ETHERNET(0x0800), ...header, ...TCP_HEADER]), payload]);
  assert.equal(parseSegment(frame)?.payload.length, payload.length);
});

test('nothing that can be on a wire makes the parser throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0x0800, 0x86dd, 0x0806), (bytes, type) => {
      const segment = parseSegment(Uint8Array.from([...ETHERNET(type), ...bytes]));
      if (segment !== undefined) describeSegment(segment);
    }),
  );
});
