/** Runs in the pod that is called: throws bytes away, sends bytes, or answers requests, as the first byte asks. */

import { parseSocketAddress } from '../../../../src/base/ip.ts';
import { ERRNO, succeeded } from '../../../../src/sys/errno.ts';
import { NativeBuffer } from '../../../../src/sys/native-buffer.ts';
import {
  acceptConnection,
  bindSocket,
  listenOn,
  openSocket,
  readInto,
  writeFrom,
} from '../../../../src/sys/sockets.ts';
import { applyListeningOptions, applyTcpOptions } from '../../../../src/sys/tcp-options.ts';
import { BulkTransfer } from './bulk-transfer.ts';
import { type Connection, ENDED, EventLoop } from './event-loop.ts';
import { MODE, REQUEST, RESPONSE } from './load-protocol.ts';

const BACKLOG = 4096;
/** Requests that are answered by one write. */
const MOST_AT_ONCE = 64;

const loop = new EventLoop();
const transfer = new BulkTransfer();
const input = new NativeBuffer(MOST_AT_ONCE * REQUEST.length);
const answers = new NativeBuffer(MOST_AT_ONCE * RESPONSE.length);
for (let i = 0; i < MOST_AT_ONCE; i++) answers.bytes.set(RESPONSE, i * RESPONSE.length);

class Served implements Connection {
  readonly fd: number;
  #mode = 0;
  /** Of a request that has not arrived as a whole. */
  #pending = 0;

  constructor(fd: number) {
    this.fd = fd;
  }

  onEvents(events: number): boolean {
    if (this.#mode === 0 || this.#mode === MODE.request) return this.#answer(events);
    const step = this.#mode === MODE.source ? transfer.write(this.fd) : transfer.read(this.fd);
    if (step.state === 'ended') loop.close(this.fd);
    return step.state === 'more';
  }

  /** A short read leaves nothing behind, unless the end of the connection came with it. */
  #answer(events: number): boolean {
    for (;;) {
      const result = readInto(this.fd, input, 0, input.size);
      if (result === -ERRNO.EAGAIN) return false;
      if (result <= 0) {
        loop.close(this.fd);
        return false;
      }
      if (this.#mode === 0) this.#mode = input.bytes[0]!;
      if (this.#mode !== MODE.request) return true;
      this.#take(result);
      if (result < input.size && (events & ENDED) === 0) return false;
    }
  }

  #take(bytes: number): void {
    this.#pending += bytes;
    const whole = Math.floor(this.#pending / REQUEST.length);
    this.#pending -= whole * REQUEST.length;
    if (whole > 0) writeFrom(this.fd, answers, 0, whole * RESPONSE.length);
  }
}

class Listener implements Connection {
  readonly fd: number;

  constructor(port: number) {
    this.fd = succeeded(openSocket(4, 'stream'), 'socket');
    succeeded(applyListeningOptions(this.fd, 4, {}), 'setsockopt');
    succeeded(applyTcpOptions(this.fd, 4, { keepAlive: false }), 'setsockopt');
    succeeded(bindSocket(this.fd, parseSocketAddress(`0.0.0.0:${port}`)!, 4), 'bind');
    succeeded(listenOn(this.fd, BACKLOG), 'listen');
  }

  onEvents(): boolean {
    for (let fd = acceptConnection(this.fd); fd >= 0; fd = acceptConnection(this.fd)) {
      loop.add(new Served(fd));
    }
    return false;
  }
}

loop.add(new Listener(Number(process.argv[2])));
process.stdout.write('ready\n');
// Ends by a signal.
for (;;) loop.turn(-1);
