/** An eventfd: the doorbell by which one thread wakes another that sleeps in epoll. */

import { succeeded } from './errno.ts';
import { NONBLOCK_CLOEXEC } from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { lastingAddressOf, NativeBuffer } from './native-buffer.ts';

const one = new NativeBuffer(8);
one.view.setBigUint64(0, 1n, true);
const onePointer = lastingAddressOf(one);
const counter = new NativeBuffer(8);
const counterPointer = lastingAddressOf(counter);

export function openEventFd(): number {
  return succeeded(kernelResult(libc.eventfd(0, NONBLOCK_CLOEXEC)), 'eventfd');
}

/** Rings; any number of rings before {@link drainEventFd} count as one. */
export function ringEventFd(fd: number): void {
  libc.write(fd, onePointer, 8n);
}

export function drainEventFd(fd: number): void {
  libc.read(fd, counterPointer, 8n);
}
