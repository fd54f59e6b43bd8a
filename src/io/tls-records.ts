/** The records of a TLS 1.3 connection after its handshake (RFC 8446 §5): opened and sealed without a copy in between. */

import { ERRNO } from '../sys/errno.ts';
import { NativeBuffer } from '../sys/native-buffer.ts';
import { alertText } from '../sys/openssl.ts';
import {
  OUTER_TYPE,
  type Place,
  RECORD_HEADER_BYTES,
  RECORD_OVERHEAD,
  type RecordCipher,
  TAG_BYTES,
} from '../sys/record-cipher.ts';
import { writeFrom } from '../sys/sockets.ts';
import type { SessionCiphers, TlsFailure } from '../sys/tls-session.ts';
import { ByteQueue } from './byte-queue.ts';
import { HandshakeMessages } from './handshake-messages.ts';
import { FAILED, type TcpSocket, WOULD_BLOCK } from './tcp-socket.ts';

/** What a record holds (RFC 8446 §5.1). */
const ContentType = { alert: 21, handshake: 22, data: 23 } as const;
/** Alerts (RFC 8446 §6). */
const CLOSE_NOTIFY = 0;
const UNEXPECTED_MESSAGE = 10;
const BAD_RECORD_MAC = 20;
const RECORD_OVERFLOW = 22;
const DECODE_ERROR = 50;
const USER_CANCELED = 90;
const WARNING = 1;
const FATAL = 2;
const ALERT_BYTES = 2;

const MAX_CONTENT_BYTES = 16_384;
/** Content, its type, padding and tag (RFC 8446 §5.2). */
const MAX_SEALED_BYTES = MAX_CONTENT_BYTES + 256;
/** Bytes that one read takes at most. */
const SEALED_CAPACITY = 256 * 1024;
/** What is sealed before it is sent: a full output queue, framed. */
const OUTGOING_CAPACITY = SEALED_CAPACITY + 32 * 1024;
/** Kept free for an alert and an update of keys. */
const CONTROL_RESERVE_BYTES = 128;
/** Records in a row that bring no data: more is a flood (as OpenSSL has it). */
const MAX_EMPTY_RECORDS = 32;
/** Records under one key; RFC 8446 §5.5 allows 2^24.5 full ones. */
const MAX_RECORDS_PER_KEY = 2 ** 24;

/** Result of {@link TlsRecords.fill} besides a number of bytes and those of a socket. */
export const RECORDS_END = 0;

const scratch = new NativeBuffer(64);

export class TlsRecords {
  /** Why fill() returned FAILED although the socket is open; the alert that says so is in the output. */
  failure: Exclude<TlsFailure, { kind: 'socket' }> | undefined;
  readonly #inbound: RecordCipher;
  readonly #outbound: RecordCipher;
  readonly #sealed = new ByteQueue(SEALED_CAPACITY);
  readonly #outgoing = new ByteQueue(OUTGOING_CAPACITY);
  readonly #messages: HandshakeMessages;
  readonly #from: Place = { buffer: scratch, offset: 0 };
  readonly #to: Place = { buffer: scratch, offset: 0 };
  // A record that was opened where it lay, since there was no room for it: its content left, and what follows that.
  #openedLength = 0;
  #openedTrailer = 0;
  #emptyRecords = 0;
  /** The peer wants other keys from us too; asked many times it gets them once. */
  #updateWanted = false;
  #ended = false;

  constructor(ciphers: SessionCiphers, role: 'client' | 'server') {
    this.#inbound = ciphers.inbound;
    this.#outbound = ciphers.outbound;
    this.#messages = new HandshakeMessages(role);
  }

  /** Reads and opens what is there and fits: bytes added to `input`, RECORDS_END, WOULD_BLOCK or FAILED. */
  fill(socket: TcpSocket, input: ByteQueue): number {
    const before = input.end;
    let result = this.#openAll(input);
    while (result === WOULD_BLOCK && input.space() > 0) {
      const count = this.#receive(socket);
      if (count <= 0) {
        result = count === 0 ? this.#truncated() : count;
        break;
      }
      result = this.#openAll(input);
    }
    this.#sealed.settle();
    return input.end > before ? input.end - before : result;
  }

  /** Seals of `output` what fits; whether there is something to send now. To be called when all before it is sent. */
  seal(output: ByteQueue): boolean {
    this.#updateIfDue();
    this.#sealAll(output);
    return this.#outgoing.length > 0;
  }

  /** Sends what is sealed: 0 when all of it is out, -EAGAIN when some is left, or another negated errno. */
  send(fd: number): number {
    const outgoing = this.#outgoing;
    while (outgoing.length > 0) {
      const count = writeFrom(fd, outgoing.buffer, outgoing.start, outgoing.length);
      if (count < 0) return count;
      outgoing.consume(count);
      if (outgoing.length > 0) return -ERRNO.EAGAIN;
    }
    outgoing.settle();
    return 0;
  }

  /** Something waits for {@link seal} or {@link send}. */
  get hasOutput(): boolean {
    return this.#updateWanted || this.#outgoing.length > 0;
  }

  closeNotify(): void {
    this.#alert(WARNING, CLOSE_NOTIFY);
  }

  /** Gives everything back; nothing is to be called any more. */
  free(): void {
    this.#inbound.free();
    this.#outbound.free();
    for (const queue of [this.#sealed, this.#outgoing]) {
      queue.clear();
      queue.settle();
    }
  }

  #receive(socket: TcpSocket): number {
    const sealed = this.#sealed;
    sealed.expand();
    sealed.compact();
    const count = socket.receiveInto(sealed.buffer, sealed.end, sealed.space());
    if (count > 0) sealed.end += count;
    return count;
  }

  /** Opens records while there are whole ones and room: WOULD_BLOCK, RECORDS_END or FAILED. */
  #openAll(input: ByteQueue): number {
    while (this.failure === undefined && !this.#ended) {
      if (this.#openedLength > 0) this.#takeOpened(input);
      if (this.#openedLength > 0 || input.space() === 0) return WOULD_BLOCK;
      const length = this.#wholeRecord();
      if (length === 0) return WOULD_BLOCK;
      if (length > 0) this.#open(length, input);
    }
    return this.#ended ? RECORDS_END : FAILED;
  }

  /** Octets behind the header of the record in front; 0 when not all of it is here, -1 when its form is wrong. */
  #wholeRecord(): number {
    const { start, length: available } = this.#sealed;
    if (available < RECORD_HEADER_BYTES) return 0;
    const { bytes } = this.#sealed.buffer;
    const length = (bytes[start + 3]! << 8) | bytes[start + 4]!;
    if (bytes[start] !== OUTER_TYPE) return this.#fail(UNEXPECTED_MESSAGE, 'a record that is not encrypted');
    if (length > MAX_SEALED_BYTES) return this.#fail(RECORD_OVERFLOW, 'a record is too long');
    if (length <= TAG_BYTES) return this.#fail(BAD_RECORD_MAC, 'a record is too short');
    return available < RECORD_HEADER_BYTES + length ? 0 : length;
  }

  #open(length: number, input: ByteQueue): void {
    const sealed = this.#sealed;
    const inPlace = input.space() < length - TAG_BYTES;
    this.#from.buffer = sealed.buffer;
    this.#from.offset = sealed.start + RECORD_HEADER_BYTES;
    this.#to.buffer = inPlace ? sealed.buffer : input.buffer;
    this.#to.offset = inPlace ? this.#from.offset : input.end;
    if (!this.#inbound.open(this.#from, length, this.#to)) {
      this.#fail(BAD_RECORD_MAC, 'a record was not sealed by the peer, or changed on its way');
      return;
    }
    const { buffer, offset } = this.#to;
    const contentLength = lengthWithoutPadding(buffer.bytes, offset, length - TAG_BYTES);
    const isData = contentLength > 0 && buffer.bytes[offset + contentLength] === ContentType.data;
    sealed.start += RECORD_HEADER_BYTES;
    if (isData && inPlace) {
      this.#openedLength = contentLength;
      this.#openedTrailer = length - contentLength;
    } else {
      sealed.consume(length);
      if (isData) input.end += contentLength;
    }
    this.#judge(buffer, offset, contentLength);
  }

  /** What an opened record means, its form included; data is where it belongs already. */
  #judge(buffer: NativeBuffer, offset: number, length: number): void {
    if (length > MAX_CONTENT_BYTES) {
      this.#fail(RECORD_OVERFLOW, 'the content of a record is too long');
      return;
    }
    const type = length < 0 ? undefined : buffer.bytes[offset + length];
    if (type === ContentType.data && length > 0) this.#emptyRecords = 0;
    else if (++this.#emptyRecords > MAX_EMPTY_RECORDS) {
      this.#fail(UNEXPECTED_MESSAGE, 'too many records without data');
      return;
    }
    if (type === ContentType.handshake) this.#onHandshake(buffer.bytes.subarray(offset, offset + length));
    else if (this.#messages.isCut) this.#fail(UNEXPECTED_MESSAGE, 'a handshake message is interrupted');
    else if (type === ContentType.alert) this.#onAlert(buffer.bytes.subarray(offset, offset + length));
    else if (type !== ContentType.data) this.#fail(UNEXPECTED_MESSAGE, 'a record of unknown content');
  }

  #onAlert(content: Uint8Array): void {
    const description = content[1];
    if (content.length !== ALERT_BYTES || description === undefined) {
      this.#fail(DECODE_ERROR, 'an alert has the wrong size');
    } else if (description === CLOSE_NOTIFY) {
      this.#ended = true;
    } else if (description !== USER_CANCELED) {
      this.failure = { kind: 'alert', text: alertText(description) };
    }
  }

  #onHandshake(content: Uint8Array): void {
    const verdict = this.#messages.take(content);
    if (verdict.kind === 'fault') {
      this.#fail(verdict.alert, verdict.what);
    } else if (verdict.kind === 'key-update') {
      this.#inbound.update();
      this.#updateWanted ||= verdict.wantsReply;
    }
  }

  #takeOpened(input: ByteQueue): void {
    const sealed = this.#sealed;
    const count = Math.min(this.#openedLength, input.space());
    input.append(sealed.buffer.bytes.subarray(sealed.start, sealed.start + count));
    this.#openedLength -= count;
    sealed.consume(this.#openedLength === 0 ? count + this.#openedTrailer : count);
  }

  #truncated(): number {
    this.failure = { kind: 'truncated' };
    return FAILED;
  }

  #fail(alert: number, text: string): -1 {
    if (this.failure === undefined) this.#alert(FATAL, alert);
    this.failure ??= { kind: 'protocol', text };
    return -1;
  }

  #alert(level: number, description: number): void {
    scratch.bytes[0] = level;
    scratch.bytes[1] = description;
    this.#sealScratch(ContentType.alert, ALERT_BYTES);
  }

  #updateIfDue(): void {
    if (!this.#updateWanted && this.#outbound.records < MAX_RECORDS_PER_KEY) return;
    this.#updateWanted = false;
    scratch.bytes.set(HandshakeMessages.keyUpdate);
    this.#sealScratch(ContentType.handshake, HandshakeMessages.keyUpdate.length);
    this.#outbound.update();
  }

  #sealScratch(type: number, length: number): void {
    const outgoing = this.#outgoing;
    if (outgoing.space() < length + RECORD_OVERHEAD) return;
    this.#from.buffer = scratch;
    this.#from.offset = 0;
    this.#seal(type, length);
  }

  #sealAll(output: ByteQueue): void {
    const outgoing = this.#outgoing;
    while (output.length > 0) {
      const room = outgoing.space() - RECORD_OVERHEAD - CONTROL_RESERVE_BYTES;
      const length = Math.min(output.length, MAX_CONTENT_BYTES, room);
      if (length <= 0) return;
      this.#from.buffer = output.buffer;
      this.#from.offset = output.start;
      this.#seal(ContentType.data, length);
      output.consume(length);
    }
  }

  #seal(type: number, length: number): void {
    const outgoing = this.#outgoing;
    this.#to.buffer = outgoing.buffer;
    this.#to.offset = outgoing.end;
    outgoing.end += this.#outbound.seal(type, this.#from, length, this.#to);
  }
}

/** Where the content ends and its type stands: the last octet that is not 0; -1 without one. */
function lengthWithoutPadding(bytes: Uint8Array, offset: number, length: number): number {
  let last = length - 1;
  while (last >= 0 && bytes[offset + last] === 0) last--;
  return last;
}
