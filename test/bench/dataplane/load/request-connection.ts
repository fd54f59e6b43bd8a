/** One connection of the generator that asks and waits for the answer. */

import { parseSocketAddress, type SocketAddress } from '../../../../src/base/ip.ts';
import { ERRNO, systemError } from '../../../../src/sys/errno.ts';
import { NativeBuffer } from '../../../../src/sys/native-buffer.ts';
import { connectSocket, openSocket, readInto, writeFrom } from '../../../../src/sys/sockets.ts';
import { applyTcpOptions } from '../../../../src/sys/tcp-options.ts';
import { type Connection, type EventLoop, WRITABLE } from './event-loop.ts';
import { REQUEST, RESPONSE } from './load-protocol.ts';

const request = new NativeBuffer(REQUEST.length);
request.bytes.set(REQUEST);
const answer = new NativeBuffer(RESPONSE.length);

/** A socket that has begun to connect. @throws AMBIT_SYSTEM_CALL_FAILED */
export function dial(target: SocketAddress): number {
  const fd = openSocket(4, 'stream');
  if (fd < 0) throw systemError('socket', fd);
  applyTcpOptions(fd, 4, { keepAlive: false });
  const result = connectSocket(fd, target, 4);
  if (result < 0 && result !== -ERRNO.EINPROGRESS) throw systemError('connect', result);
  return fd;
}

/** @throws RangeError for anything but `IP:PORT` */
export function targetOf(text: string): SocketAddress {
  const target = parseSocketAddress(text);
  if (target === undefined) throw new RangeError(`${text} is not IP:PORT`);
  return target;
}

export class RequestConnection implements Connection {
  readonly fd: number;
  readonly #onIdle: (connection: RequestConnection) => void;
  #state: 'connecting' | 'waiting' | 'idle' = 'connecting';
  #received = 0;

  /** @param onIdle the connection stands, or a request has been answered: it may ask again at once */
  constructor(loop: EventLoop, target: SocketAddress, onIdle: (connection: RequestConnection) => void) {
    this.fd = dial(target);
    this.#onIdle = onIdle;
    loop.add(this);
  }

  /** @throws AMBIT_SYSTEM_CALL_FAILED */
  ask(): void {
    this.#state = 'waiting';
    this.#received = 0;
    const result = writeFrom(this.fd, request, 0, REQUEST.length);
    if (result !== REQUEST.length) throw systemError('send a request', result);
  }

  /** @throws AMBIT_SYSTEM_CALL_FAILED when the connection has been cut */
  onEvents(events: number): boolean {
    if (this.#state === 'waiting') this.#read();
    else if (this.#state === 'connecting' && (events & WRITABLE) !== 0) this.#becomeIdle();
    return false;
  }

  #read(): void {
    const result = readInto(this.fd, answer, 0, RESPONSE.length - this.#received);
    if (result === -ERRNO.EAGAIN) return;
    if (result <= 0) throw systemError('wait for an answer', result === 0 ? -ERRNO.ECONNRESET : result);
    this.#received += result;
    if (this.#received === RESPONSE.length) this.#becomeIdle();
  }

  #becomeIdle(): void {
    this.#state = 'idle';
    this.#onIdle(this);
  }
}
