/** A queue of bytes in one native buffer, lent from a pool while there is something in it. */

import type { NativeBuffer } from '../sys/native-buffer.ts';
import { acquireBuffer, releaseBuffer } from './buffer-pool.ts';

/** Leftovers up to this size move to a small buffer while a connection waits for the rest, in bytes. */
const SMALL_SIZE = 4096;

/**
 * Bytes [start, end) of `buffer` wait to be consumed. Producers write at `end` and advance it, consumers read at
 * `start` and advance it; both are plain numbers because every byte of the data plane passes here.
 */
export class ByteQueue {
  readonly capacity: number;
  start = 0;
  end = 0;
  #buffer: NativeBuffer | undefined;
  /** How far the buffer was written to since it was lent. */
  #highest = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Taken from the pool on first use. The same object throughout a callback. */
  get buffer(): NativeBuffer {
    this.#buffer ??= acquireBuffer(this.capacity);
    return this.#buffer;
  }

  get length(): number {
    return this.end - this.start;
  }

  /** Bytes that fit behind `end`. */
  space(): number {
    return this.capacity - this.end;
  }

  /** Drops `count` bytes in front; an empty queue starts over at 0. */
  consume(count: number): void {
    this.start += count;
    if (this.start === this.end) this.clear();
  }

  clear(): void {
    if (this.end > this.#highest) this.#highest = this.end;
    this.start = 0;
    this.end = 0;
  }

  /** Copies bytes in; the caller has checked {@link space}. */
  append(bytes: Uint8Array): void {
    this.buffer.bytes.set(bytes, this.end);
    this.end += bytes.length;
  }

  /** Moves what waits to the front, so that all free space is behind it. */
  compact(): void {
    if (this.start === 0) return;
    if (this.end > this.#highest) this.#highest = this.end;
    if (this.start < this.end) this.buffer.bytes.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
  }

  /** Before bytes are put in: undoes {@link settle}. Only between callbacks. */
  expand(): void {
    if (this.#buffer !== undefined && this.#buffer.size < this.capacity) this.#moveTo(this.capacity);
  }

  /**
   * After a callback: gives the memory back when nothing waits, and most of it when little does, so that an idle
   * connection costs next to nothing.
   */
  settle(): void {
    if (this.#buffer === undefined) return;
    if (this.start === this.end) {
      this.clear();
      releaseBuffer(this.#buffer, this.#highest);
      this.#buffer = undefined;
      this.#highest = 0;
    } else if (this.length <= SMALL_SIZE && this.#buffer.size > SMALL_SIZE) {
      this.#moveTo(SMALL_SIZE);
    }
  }

  #moveTo(size: number): void {
    const from = this.#buffer!;
    const to = acquireBuffer(size);
    to.bytes.set(from.bytes.subarray(this.start, this.end));
    releaseBuffer(from, Math.max(this.#highest, this.end));
    this.end -= this.start;
    this.start = 0;
    this.#buffer = to;
    this.#highest = 0;
  }
}
