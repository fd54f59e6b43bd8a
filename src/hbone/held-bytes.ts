/** Bytes that wait for a socket to take them, in pooled buffers. */

import { acquireBuffer, releaseBuffer } from '../io/buffer-pool.ts';
import { FAILED, type TcpSocket, WOULD_BLOCK } from '../io/tcp-socket.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { HeldAccount } from './held-account.ts';

/** Bytes come in pieces of any size; fewer and larger buffers cost fewer system calls later. */
const CHUNK_BYTES = 64 * 1024;

/** A queue without a bound of its own: flow control bounds what can come in, and the account all of an owner's. */
export class HeldBytes {
  readonly #chunks: NativeBuffer[] = [];
  // First byte in the first chunk, and the end in the last one.
  #start = 0;
  #end = CHUNK_BYTES;
  #length = 0;
  #account: HeldAccount | undefined;

  get length(): number {
    return this.#length;
  }

  /** Whether its owner holds more than it may. */
  get overdrawn(): boolean {
    return this.#account?.overdrawn === true;
  }

  /** From now on this queue counts as that owner's; call once. */
  chargeTo(account: HeldAccount): void {
    this.#account = account;
    account.add(this.#length);
  }

  /** Copies the bytes. */
  append(buffer: NativeBuffer, offset: number, length: number): void {
    this.#length += length;
    this.#account?.add(length);
    let from = offset;
    let left = length;
    while (left > 0) {
      const chunk = this.#tail();
      const count = Math.min(left, CHUNK_BYTES - this.#end);
      chunk.bytes.set(buffer.bytes.subarray(from, from + count), this.#end);
      this.#end += count;
      from += count;
      left -= count;
    }
  }

  /** Sends what the socket takes, until it was `enough`; returns the number of bytes, or FAILED. */
  drainTo(socket: TcpSocket, enough: number): number {
    let sent = 0;
    while (this.#length > 0 && sent < enough) {
      const result = socket.sendFrom(this.#chunks[0]!, this.#start, this.#frontLength());
      if (result === FAILED) return FAILED;
      if (result === WOULD_BLOCK) break;
      sent += result;
      this.#drop(result);
    }
    return sent;
  }

  /** Forgets everything; returns how many bytes that were. */
  discard(): number {
    const length = this.#length;
    while (this.#length > 0) this.#drop(this.#frontLength());
    return length;
  }

  #frontLength(): number {
    return (this.#chunks.length === 1 ? this.#end : CHUNK_BYTES) - this.#start;
  }

  #tail(): NativeBuffer {
    if (this.#end === CHUNK_BYTES) {
      this.#chunks.push(acquireBuffer(CHUNK_BYTES));
      this.#end = 0;
    }
    return this.#chunks[this.#chunks.length - 1]!;
  }

  #drop(count: number): void {
    this.#start += count;
    this.#length -= count;
    this.#account?.remove(count);
    if (this.#start < CHUNK_BYTES && this.#length > 0) return;
    releaseBuffer(this.#chunks.shift()!);
    this.#start = 0;
    if (this.#length === 0) this.#end = CHUNK_BYTES;
  }
}
