/** An epoll instance: readiness of many descriptors in one call. */

import { ERRNO, succeeded } from './errno.ts';
import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';

/** Events taken per call; what is ready beyond that comes with the next one. */
const MAX_EVENTS = 512;
/** Everything that is ever of interest, told once per change. */
export const EVERYTHING = k.EPOLLIN | k.EPOLLOUT | k.EPOLLRDHUP | k.EPOLLET | 0;
export const READABILITY = k.EPOLLIN | k.EPOLLET | 0;

/** Each descriptor is registered with a generation that comes back with its events. */
export class Epoll {
  /** -1 once closed, so that a late call cannot hit a descriptor of somebody else. */
  fd: number;
  readonly #events = new NativeBuffer(MAX_EVENTS * k.EPOLL_EVENT.size);
  readonly #eventsPointer = addressOf(this.#events);
  readonly #words = new Int32Array(this.#events.bytes.buffer);
  readonly #change = new NativeBuffer(k.EPOLL_EVENT.size);
  readonly #changePointer = addressOf(this.#change);
  readonly #changeWords = new Int32Array(this.#change.bytes.buffer);

  constructor() {
    this.fd = succeeded(kernelResult(libc.epoll_create1(k.NONBLOCK_CLOEXEC & 0x80000)), 'epoll_create1');
  }

  /** Watches a descriptor, edge-triggered; 0 or a negated errno. */
  add(fd: number, generation: number, interest: number): number {
    this.#changeWords[0] = interest;
    this.#changeWords[k.EPOLL_EVENT.dataWord] = fd;
    this.#changeWords[k.EPOLL_EVENT.dataWord + 1] = generation;
    return kernelResult(libc.epoll_ctl(this.fd, k.EPOLL_CTL_ADD, fd, this.#changePointer));
  }

  remove(fd: number): number {
    return kernelResult(libc.epoll_ctl(this.fd, k.EPOLL_CTL_DEL, fd, this.#changePointer));
  }

  /** Waits at most `timeoutMs` (-1: for ever); the number of events to read with the three methods below. */
  wait(timeoutMs: number): number {
    const count = kernelResult(libc.epoll_wait(this.fd, this.#eventsPointer, MAX_EVENTS, timeoutMs));
    return count === -ERRNO.EINTR ? 0 : succeeded(count, 'epoll_wait');
  }

  eventsAt(index: number): number {
    return this.#words[index * k.EPOLL_EVENT.words]!;
  }

  descriptorAt(index: number): number {
    return this.#words[index * k.EPOLL_EVENT.words + k.EPOLL_EVENT.dataWord]!;
  }

  generationAt(index: number): number {
    return this.#words[index * k.EPOLL_EVENT.words + k.EPOLL_EVENT.dataWord + 1]!;
  }

  close(): void {
    libc.close(this.fd);
    this.fd = -1;
  }
}
