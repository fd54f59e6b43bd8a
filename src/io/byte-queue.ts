/** A queue of bytes in one native buffer, lent from a pool while there is something in it. */

import type { NativeBuffer } from '../sys/native-buffer.ts';
import { acquireBuffer, releaseBuffer } from './buffer-pool.ts';

/**
 * Bytes [start, end) of `buffer` wait to be consumed. Producers write at `end` and advance it, consumers read at
 * `start` and advance it; both are plain numbers because every byte of the data plane passes here.
 */
export class ByteQueue {
  readonly capacity: number;
  start = 0;
  end = 0;
  #buffer: NativeBuffer | undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Taken from the pool on first use; the same object until {@link releaseIfEmpty}. */
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
    if (this.start < this.end) this.buffer.bytes.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
  }

  /** Gives the memory back when nothing waits; only between callbacks. */
  releaseIfEmpty(): void {
    if (this.#buffer === undefined || this.start !== this.end) return;
    releaseBuffer(this.#buffer);
    this.#buffer = undefined;
    this.clear();
  }
}
