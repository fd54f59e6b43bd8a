/** Unix sockets that carry whole messages and file descriptors. */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import type { AmbitError } from '../base/errors.ts';
import { messageOf } from '../base/errors.ts';
import { ERRNO, errnoName } from '../sys/errno.ts';
import { MAX_FDS, type ReceivedMessage, receiveMessage, sendMessage } from '../sys/message-socket.ts';
import { NativeBuffer } from '../sys/native-buffer.ts';
import * as sockets from '../sys/sockets.ts';
import { ioErrors } from './errors.ts';
import type { EventHandler, Reactor, Task } from './reactor.ts';

/** The largest message either way, in bytes; those of ZDS are some hundred. */
export const MAX_MESSAGE = 64 * 1024;
/** Messages and connections taken before other work of the turn gets its chance. */
const MESSAGES_PER_TURN = 64;
const BACKLOG = 64;

/** Shared by all sockets of this thread: a message is looked at before the next one is read. */
const inbox = new NativeBuffer(MAX_MESSAGE);
const outbox = new NativeBuffer(MAX_MESSAGE);

export interface SeqpacketHandler {
  /** `message` is valid during the call only; the descriptors belong to the handler. */
  onMessage(message: Uint8Array, fds: number[]): void;
  /** After send() returned false. */
  onWritable?(): void;
  /** Exactly once; undefined when either side closed as intended. Never called from within connect(). */
  onClosed(error?: AmbitError): void;
}

const NOBODY: SeqpacketHandler = { onMessage() {}, onClosed() {} };

export class SeqpacketSocket implements EventHandler, Task {
  handler: SeqpacketHandler;
  readonly #reactor: Reactor;
  readonly #name: string;
  #fd = -1;
  #closed = false;
  #writable = true;

  private constructor(reactor: Reactor, name: string, handler: SeqpacketHandler) {
    this.#reactor = reactor;
    this.#name = name;
    this.handler = handler;
  }

  /** Failures come by onClosed() in a later turn. */
  static connect(reactor: Reactor, path: string, handler: SeqpacketHandler): SeqpacketSocket {
    const socket = new SeqpacketSocket(reactor, path, handler);
    const error = socket.#dial(path);
    if (error !== undefined) reactor.defer({ run: () => socket.#close(error) });
    return socket;
  }

  /** Takes a connected descriptor over. @throws AMBIT_SYSTEM_CALL_FAILED when it cannot be watched; it is closed then */
  static accepted(reactor: Reactor, fd: number, name: string): SeqpacketSocket {
    const socket = new SeqpacketSocket(reactor, name, NOBODY);
    socket.#adopt(fd);
    return socket;
  }

  /**
   * False when the message does not fit now (try again after onWritable()) or the socket is closed. The descriptors
   * stay the caller's.
   * @throws RangeError for a message beyond MAX_MESSAGE or with more than MAX_FDS descriptors
   */
  send(message: Uint8Array, fds: readonly number[] = []): boolean {
    if (message.length > MAX_MESSAGE || message.length === 0 || fds.length > MAX_FDS) {
      throw new RangeError(`a message of ${message.length} bytes with ${fds.length} descriptors`);
    }
    if (this.#closed || !this.#writable || this.#fd < 0) return false;
    outbox.bytes.set(message);
    const result = sendMessage(this.#fd, outbox, message.length, fds);
    if (result >= 0) return true;
    this.#writable = false;
    if (result !== -ERRNO.EAGAIN) this.#close(this.#broken(errnoName(result)));
    return false;
  }

  close(): void {
    this.#close(undefined);
  }

  onEvents(): void {
    if (!this.#writable) {
      this.#writable = true;
      this.handler.onWritable?.();
    }
    this.run();
  }

  onFailure(thrown: unknown): void {
    this.#close(ioErrors.AMBIT_HANDLER_FAILED(`${this.#name}: ${messageOf(thrown)}`, thrown));
  }

  /** Reads what waits, within the turn's share. */
  run(): void {
    for (let i = 0; i < MESSAGES_PER_TURN; i++) {
      if (this.#closed) return;
      const message = receiveMessage(this.#fd, inbox);
      if (message === -ERRNO.EAGAIN) return;
      if (typeof message === 'number') return this.#close(this.#broken(errnoName(message)));
      if (!this.#take(message)) return;
    }
    this.#reactor.defer(this);
  }

  #take(message: ReceivedMessage): boolean {
    if (!message.truncated && message.length > 0) {
      this.handler.onMessage(inbox.bytes.subarray(0, message.length), message.fds);
      return true;
    }
    for (const fd of message.fds) sockets.closeDescriptor(fd);
    this.#close(message.truncated ? this.#tooLarge() : undefined);
    return false;
  }

  #dial(path: string): AmbitError | undefined {
    const fd = sockets.openSocket('unix', 'seqpacket');
    if (fd < 0) return this.#broken(errnoName(fd));
    const result = sockets.connectPath(fd, path);
    if (result < 0) {
      sockets.closeDescriptor(fd);
      return ioErrors.AMBIT_UNIX_CONNECT_FAILED(`connect to ${path}: ${errnoName(result)}`);
    }
    try {
      this.#adopt(fd);
    } catch (thrown) {
      return this.#broken(messageOf(thrown));
    }
    return undefined;
  }

  #adopt(fd: number): void {
    try {
      this.#reactor.register(fd, this);
    } catch (thrown) {
      sockets.closeDescriptor(fd);
      throw thrown;
    }
    this.#fd = fd;
  }

  #close(error: AmbitError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#fd >= 0) {
      this.#reactor.deregister(this.#fd);
      sockets.closeDescriptor(this.#fd);
    }
    this.handler.onClosed(error);
  }

  #broken(why: string): AmbitError {
    return ioErrors.AMBIT_UNIX_CONNECTION_FAILED(`connection over ${this.#name}: ${why}`);
  }

  #tooLarge(): AmbitError {
    const limits = `${MAX_MESSAGE} bytes or ${MAX_FDS} descriptors`;
    return ioErrors.AMBIT_UNIX_MESSAGE_TRUNCATED(`a message over ${this.#name} exceeded ${limits}`);
  }
}

export class SeqpacketListener implements EventHandler, Task {
  readonly path: string;
  readonly #reactor: Reactor;
  readonly #fd: number;
  /** Of the socket file, to tell ours from that of a successor. */
  readonly #inode: number;
  readonly #onAccept: (socket: SeqpacketSocket) => void;
  #closed = false;

  private constructor(
    reactor: Reactor,
    fd: number,
    path: string,
    onAccept: (socket: SeqpacketSocket) => void,
  ) {
    this.#reactor = reactor;
    this.#fd = fd;
    this.path = path;
    this.#inode = lstatSync(path).ino;
    this.#onAccept = onAccept;
    reactor.register(fd, this);
  }

  /**
   * Listens on a path for processes of the same user; a socket that is there already is replaced, since its owner may
   * have died. `onAccept` sets the handler of the socket it is given.
   * @throws AMBIT_LISTEN_FAILED
   */
  static listen(
    reactor: Reactor,
    path: string,
    onAccept: (socket: SeqpacketSocket) => void,
  ): SeqpacketListener {
    const fd = openListening(path);
    if (fd < 0) throw ioErrors.AMBIT_LISTEN_FAILED(`listen on ${path}: ${errnoName(fd)}`);
    return new SeqpacketListener(reactor, fd, path, onAccept);
  }

  onEvents(): void {
    this.run();
  }

  run(): void {
    for (let i = 0; i < MESSAGES_PER_TURN; i++) {
      if (this.#closed) return;
      const fd = sockets.acceptConnection(this.#fd);
      if (fd === -ERRNO.EAGAIN) return;
      if (fd >= 0) this.#handOver(fd);
    }
    this.#reactor.defer(this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reactor.deregister(this.#fd);
    sockets.closeDescriptor(this.#fd);
    if (lstatSync(this.path, { throwIfNoEntry: false })?.ino === this.#inode) unlinkSync(this.path);
  }

  #handOver(fd: number): void {
    let socket: SeqpacketSocket | undefined;
    try {
      socket = SeqpacketSocket.accepted(this.#reactor, fd, this.path);
      this.#onAccept(socket);
    } catch (thrown) {
      this.#reactor.reportFailure(thrown);
      socket?.onFailure(thrown);
    }
  }
}

/** A listening descriptor, or a negated errno. */
function openListening(path: string): number {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
  const fd = sockets.openSocket('unix', 'seqpacket');
  if (fd < 0) return fd;
  let result = sockets.bindPath(fd, path);
  if (result === 0) {
    // Before listen(), so that nobody else gets in between.
    chmodSync(path, 0o600);
    result = sockets.listenOn(fd, BACKLOG);
  }
  if (result === 0) return fd;
  sockets.closeDescriptor(fd);
  return result;
}
