/** SOCKS5 (RFC 1928) for the applications of a pod that are told to use it: CONNECT, without authentication. */

import type { AmbitError } from '../../base/errors.ts';
import { type IpAddress, ipFromBytes, parseIp, type SocketAddress } from '../../base/ip.ts';
import type { Timer } from '../../io/reactor.ts';
import { FAILED, type TcpSocket, type TcpSocketHandler, WOULD_BLOCK } from '../../io/tcp-socket.ts';
import { NativeBuffer } from '../../sys/native-buffer.ts';
import { logger } from '../../telemetry/log.ts';
import { errors } from '../errors.ts';
import type { ServedPod } from './served-pod.ts';

const log = logger('socks5');

const VERSION = 5;
const NO_AUTHENTICATION = 0;
const NO_ACCEPTABLE_METHOD = 0xff;
const CONNECT = 1;
/** Kinds of addresses (RFC 1928 §5) with what is to be read before the port; a name has its length in front. */
const AddressType = { ipv4: 1, name: 3, ipv6: 4 } as const;
/** RFC 1928 §6. */
const Reply = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  hostUnreachable: 4,
  connectionRefused: 5,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;
/** The longest message: a request for a name of 255 bytes. */
const BUFFER_BYTES = 4 + 1 + 255 + 2;
/** An application that has connected to a proxy knows what it wants. */
const REQUEST_TIMEOUT_MS = 10_000;

/** What a session needs of the world, and what becomes of it. */
export interface Socks5Events {
  /** Addresses of a name that the application may mean; none when there is no such name. */
  resolve(name: string, callback: (addresses: readonly IpAddress[]) => void): void;
  /** Hands the socket over; `answer` is to be called once, before bytes flow or the socket is closed. */
  onRequest(destination: SocketAddress, answer: (error: AmbitError | undefined) => void): void;
}

/** Reads no byte further than the request: what follows is the application's. */
export class Socks5Session implements TcpSocketHandler {
  readonly #pod: ServedPod;
  readonly #socket: TcpSocket;
  readonly #events: Socks5Events;
  readonly #buffer = new NativeBuffer(BUFFER_BYTES);
  readonly #timer: Timer;
  readonly #settled: () => void;
  #length = 0;
  #wanted = 2;
  /** What is to be done when the wanted bytes are there. */
  #next: () => void = () => this.#onMethodCount();
  #over = false;

  constructor(pod: ServedPod, socket: TcpSocket, events: Socks5Events) {
    this.#pod = pod;
    this.#socket = socket;
    this.#events = events;
    this.#timer = pod.context.reactor.setTimer(REQUEST_TIMEOUT_MS, () => this.#refuse('no request in time'));
    this.#settled = pod.context.tracker.beginning(pod.info.uid, (error) => socket.abort(error));
    socket.handler = this;
  }

  start(): void {
    this.onReadable();
  }

  onReadable(): void {
    while (!this.#over) {
      const count = this.#socket.receiveInto(this.#buffer, this.#length, this.#wanted - this.#length);
      if (count === WOULD_BLOCK || count === FAILED) return;
      if (count === 0) return this.#refuse('the application ended in the middle of its request');
      this.#length += count;
      if (this.#length === this.#wanted) this.#next();
    }
  }

  onWritable(): void {}

  onClosed(): void {
    this.#finish();
  }

  get #bytes(): Uint8Array {
    return this.#buffer.bytes;
  }

  #then(more: number, next: () => void): void {
    this.#wanted = this.#length + more;
    this.#next = next;
    if (more === 0) next();
  }

  #onMethodCount(): void {
    if (this.#bytes[0] !== VERSION) return this.#refuse(`version ${this.#bytes[0]} is not spoken`);
    this.#then(this.#bytes[1]!, () => this.#onMethods());
  }

  #onMethods(): void {
    const isOpen = this.#bytes.subarray(2, this.#length).includes(NO_AUTHENTICATION);
    this.#send([VERSION, isOpen ? NO_AUTHENTICATION : NO_ACCEPTABLE_METHOD]);
    if (!isOpen) return this.#refuse('the application insists on authentication');
    this.#length = 0;
    this.#then(5, () => this.#onRequest());
  }

  /** The fifth byte is the length of a name, or the first of an address. */
  #onRequest(): void {
    const [version, command, , type, length] = this.#bytes;
    if (version !== VERSION) return this.#refuse(`version ${version} is not spoken`);
    if (command !== CONNECT)
      return this.#refuse(`command ${command} is not served`, Reply.commandNotSupported);
    if (type === AddressType.ipv4) return this.#then(3 + 2, () => this.#onAddress(4));
    if (type === AddressType.ipv6) return this.#then(15 + 2, () => this.#onAddress(16));
    if (type === AddressType.name) return this.#then(length! + 2, () => this.#onName());
    this.#refuse(`addresses of type ${type} are not known`, Reply.addressTypeNotSupported);
  }

  #onAddress(size: number): void {
    this.#connect(ipFromBytes(this.#bytes.slice(4, 4 + size))!);
  }

  #onName(): void {
    const name = Buffer.from(this.#bytes.subarray(5, this.#length - 2)).toString('latin1');
    const ip = parseIp(name);
    if (ip !== undefined) return this.#connect(ip);
    // Nothing is read meanwhile; the request is complete.
    this.#next = () => {};
    this.#finish();
    this.#events.resolve(name, (addresses) => {
      if (this.#socket.state === 'closed') return;
      if (addresses[0] !== undefined) return this.#connect(addresses[0]);
      this.#refuse(`no address of ${JSON.stringify(name)} is known`, Reply.hostUnreachable);
    });
  }

  #connect(ip: IpAddress): void {
    this.#finish();
    const port = this.#buffer.view.getUint16(this.#length - 2);
    this.#events.onRequest({ ip, port }, (error) => this.#reply(replyFor(error)));
  }

  /** In the empty send buffer of a connection that nothing else was sent on there is room. */
  #send(bytes: readonly number[]): void {
    const buffer = new NativeBuffer(bytes.length);
    buffer.bytes.set(bytes);
    this.#socket.sendFrom(buffer, 0, bytes.length);
  }

  /** The address bound for the application is nobody's business. */
  #reply(code: number): void {
    this.#send([VERSION, code, 0, AddressType.ipv4, 0, 0, 0, 0, 0, 0]);
  }

  #refuse(what: string, code?: number): void {
    this.#finish();
    const { name, namespace } = this.#pod.info;
    const error = errors.AMBIT_SOCKS5_REFUSED(`SOCKS5 request refused: ${what}`);
    log.warn(error.message, { pod: name, namespace, code: error.code });
    if (code !== undefined) this.#reply(code);
    this.#socket.close();
  }

  #finish(): void {
    this.#over = true;
    this.#timer.cancel();
    this.#settled();
  }
}

function replyFor(error: AmbitError | undefined): number {
  if (error === undefined) return Reply.succeeded;
  if (error.code === 'AMBIT_CONNECT_REFUSED') return Reply.connectionRefused;
  if (error.code === 'AMBIT_SELF_CALL' || error.side === 'policy') return Reply.notAllowed;
  return error.side === 'upstream' ? Reply.hostUnreachable : Reply.generalFailure;
}
