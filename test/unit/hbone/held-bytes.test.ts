import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeldAccount } from '../../../src/hbone/held-account.ts';
import { HeldBytes } from '../../../src/hbone/held-bytes.ts';
import type { TcpSocket } from '../../../src/io/tcp-socket.ts';
import { FAILED, WOULD_BLOCK } from '../../../src/io/tcp-socket.ts';
import { NativeBuffer } from '../../../src/sys/native-buffer.ts';

const source = new NativeBuffer(200_000);
for (let i = 0; i < source.size; i++) source.bytes[i] = (i * 31) & 0xff;

/** Takes so many bytes, then no more. */
class Sink {
  taken: number[] = [];
  room = 0;
  failing = false;

  sendFrom(buffer: NativeBuffer, offset: number, length: number): number {
    if (this.failing) return FAILED;
    const count = Math.min(length, this.room);
    if (count === 0) return WOULD_BLOCK;
    this.room -= count;
    for (let i = 0; i < count; i++) this.taken.push(buffer.bytes[offset + i]!);
    return count;
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    offset: fc.nat({ max: 1000 }),
    length: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 150_000 })),
  }),
  fc.record({
    kind: fc.constant('drain' as const),
    room: fc.oneof(fc.nat({ max: 500 }), fc.nat({ max: 200_000 })),
    enough: fc.oneof(fc.constant(Infinity), fc.nat({ max: 150_000 })),
  }),
);

test('gives back exactly what was put in, in order, whatever the pieces', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const held = new HeldBytes();
      const sink = new Sink();
      const expected: number[] = [];
      for (const one of steps) {
        if (one.kind === 'append') {
          held.append(source, one.offset, one.length);
          for (let i = 0; i < one.length; i++) expected.push(source.bytes[one.offset + i]!);
          continue;
        }
        sink.room = one.room;
        const before = held.length;
        const taken = held.drainTo(sink as unknown as TcpSocket, one.enough) as number;
        const most = Math.min(before, one.room);
        assert.ok(taken === most || (taken < most && taken >= one.enough), `${taken} of ${most}`);
        assert.equal(held.length, before - taken);
      }
      sink.room = expected.length;
      held.drainTo(sink as unknown as TcpSocket, Infinity);
      assert.equal(held.length, 0);
      assert.ok(Buffer.from(sink.taken).equals(Buffer.from(expected)));
    }),
    { numRuns: 60 },
  );
});

test('says so when the socket fails, and can be thrown away', () => {
  const held = new HeldBytes();
  held.append(source, 0, 100_000);
  const sink = new Sink();
  sink.failing = true;
  assert.equal(held.drainTo(sink as unknown as TcpSocket, Infinity), FAILED);
  assert.equal(held.discard(), 100_000);
  assert.equal(held.length, 0);
  held.append(source, 0, 10);
  assert.equal(held.discard(), 10);
});

test('the queues of one owner share an account, which says when it is overdrawn and forgets what has gone', () => {
  let overdrawn = 0;
  const account = new HeldAccount(1000, () => overdrawn++);
  const [one, two] = [new HeldBytes(), new HeldBytes()];
  one.append(source, 0, 600);
  one.chargeTo(account);
  two.chargeTo(account);
  two.append(source, 0, 400);
  assert.deepEqual([account.bytes, overdrawn, two.overdrawn], [1000, 0, false]);
  two.append(source, 0, 1);
  assert.deepEqual([account.bytes, overdrawn, one.overdrawn], [1001, 1, true]);
  const sink = new Sink();
  sink.room = 100;
  one.drainTo(sink as unknown as TcpSocket, Infinity);
  two.discard();
  assert.deepEqual([account.bytes, one.overdrawn], [500, false]);
});
