/** Where TLS records wait to be sent: a ring between OpenSSL and the socket, shared by the connections of a thread. */

import { ERRNO } from './errno.ts';
import { kernelResult, libc } from './libc.ts';
import { lastingAddressOf, NativeBuffer, toUint64 } from './native-buffer.ts';
import { openssl } from './openssl.ts';

/** Plaintext that one seal may hand over, in bytes: the capacity of a stream's output queue. */
export const MAX_SEAL = 256 * 1024;
/** With it 16 records' framing of 22 to 29 bytes, and room for a flight of the handshake or an alert. */
const RING_SIZE = BigInt(MAX_SEAL + 32 * 1024);
/** The direction from the socket to OpenSSL is not used; 0 would mean 17 KiB. */
const UNUSED_SIZE = 16n;
/** Rings without a user that are kept: one is enough unless peers are slow to take what is sent. */
const MAX_FREE = 4;

const CTRL_SET_WRITE_BUFFER_SIZE = 136;
const CTRL_DESTROY_PAIR = 139;

const cells = new NativeBuffer(16);
const firstCell = lastingAddressOf(cells);
const secondCell = firstCell + 8n;

/**
 * A pair of BIOs: OpenSSL writes records into one, {@link sendTo} takes them from the other without a copy. Unlike a
 * memory BIO it neither zeroes nor grows. It is held only from the first record to the last byte sent, so one ring
 * that stays in the processor's cache serves all connections of a thread but those whose socket is full.
 */
export class TlsOutput {
  /** The end that OpenSSL writes to. */
  readonly sealed: bigint;
  readonly #outgoing: bigint;

  constructor() {
    if (openssl.BIO_new_bio_pair(firstCell, RING_SIZE, secondCell, UNUSED_SIZE) !== 1) {
      throw new RangeError('OpenSSL has no memory for TLS output');
    }
    this.sealed = cells.view.getBigUint64(0, true);
    this.#outgoing = cells.view.getBigUint64(8, true);
  }

  /** Sends what waits: 0 when all of it is out, -EAGAIN when some is left, or another negated errno. */
  sendTo(fd: number): number {
    for (;;) {
      const length = openssl.BIO_nread0(this.#outgoing, firstCell);
      if (length <= 0) return 0;
      const sent = kernelResult(libc.write(fd, cells.view.getBigUint64(0, true), toUint64(length)));
      if (sent < 0) return sent;
      openssl.BIO_nread(this.#outgoing, firstCell, sent);
      if (sent < length) return -ERRNO.EAGAIN;
    }
  }

  /** Drops what waits. */
  clear(): void {
    for (;;) {
      const length = openssl.BIO_nread0(this.#outgoing, firstCell);
      if (length <= 0) return;
      openssl.BIO_nread(this.#outgoing, firstCell, length);
    }
  }

  /** Frees the memory at once, although idle connections may still refer to the BIO. */
  free(): void {
    openssl.BIO_ctrl(this.sealed, CTRL_DESTROY_PAIR, 0n, 0n);
    openssl.BIO_ctrl(this.sealed, CTRL_SET_WRITE_BUFFER_SIZE, UNUSED_SIZE, 0n);
    openssl.BIO_free(this.sealed);
    openssl.BIO_free(this.#outgoing);
  }
}

/** Last in, first out: the same ring again and again while nobody is stuck. */
const free: TlsOutput[] = [];

export function acquireOutput(): TlsOutput {
  return free.pop() ?? new TlsOutput();
}

/** Takes back a ring that is empty. */
export function releaseOutput(output: TlsOutput): void {
  if (free.length < MAX_FREE) free.push(output);
  else output.free();
}
