/** Sockets as descriptors: every function returns what the kernel returns, a failure as the negated errno. */

import type { IpFamily, SocketAddress } from '../base/ip.ts';
import { ERRNO } from './errno.ts';
import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { addressAt, addressOf, lastingAddressOf, NativeBuffer, toUint64 } from './native-buffer.ts';
import { AddressCell } from './socket-address.ts';

/** Shared by all calls of this thread: none of them keeps it beyond its own run. */
const cell = new AddressCell();
const option = new NativeBuffer(k.LINGER.size);
const optionLength = new NativeBuffer(4);
const optionPointer = lastingAddressOf(option);
const optionLengthPointer = lastingAddressOf(optionLength);

export type SocketKind = 'stream' | 'datagram' | 'seqpacket';

const TYPES = { stream: k.SOCK_STREAM, datagram: k.SOCK_DGRAM, seqpacket: k.SOCK_SEQPACKET } as const;

/** A non-blocking socket in the network namespace this thread is in; its descriptor. */
export function openSocket(family: IpFamily | 'unix', kind: SocketKind): number {
  const domain = family === 'unix' ? k.AF_UNIX : family === 4 ? k.AF_INET : k.AF_INET6;
  return kernelResult(libc.socket(domain, TYPES[kind] | k.NONBLOCK_CLOEXEC, 0));
}

export function closeDescriptor(fd: number): void {
  libc.close(fd);
}

export function bindSocket(fd: number, address: SocketAddress, family: IpFamily): number {
  const length = cell.write(address, family);
  return kernelResult(libc.bind(fd, cell.pointer, length));
}

/** -EINPROGRESS is the normal answer. */
export function connectSocket(fd: number, address: SocketAddress, family: IpFamily): number {
  const length = cell.write(address, family);
  return kernelResult(libc.connect(fd, cell.pointer, length));
}

export function bindPath(fd: number, path: string): number {
  const length = cell.writePath(path);
  return length === undefined ? -ERRNO.EINVAL : kernelResult(libc.bind(fd, cell.pointer, length));
}

export function connectPath(fd: number, path: string): number {
  const length = cell.writePath(path);
  return length === undefined ? -ERRNO.EINVAL : kernelResult(libc.connect(fd, cell.pointer, length));
}

export function listenOn(fd: number, backlog: number): number {
  return kernelResult(libc.listen(fd, backlog));
}

/** The next connection that waits, non-blocking; {@link acceptedFrom} then tells whose it is. */
export function acceptConnection(fd: number): number {
  cell.reset();
  return kernelResult(libc.accept4(fd, cell.pointer, cell.lengthPointer, k.NONBLOCK_CLOEXEC));
}

/** The peer of the connection that {@link acceptConnection} has just returned. */
export function acceptedFrom(): SocketAddress | undefined {
  return cell.read();
}

export function localAddressOf(fd: number): SocketAddress | undefined {
  cell.reset();
  return libc.getsockname(fd, cell.pointer, cell.lengthPointer) === 0 ? cell.read() : undefined;
}

export function remoteAddressOf(fd: number): SocketAddress | undefined {
  cell.reset();
  return libc.getpeername(fd, cell.pointer, cell.lengthPointer) === 0 ? cell.read() : undefined;
}

/** The destination before REDIRECT or DNAT; undefined where connection tracking knows none. */
export function originalDestinationOf(fd: number, family: IpFamily): SocketAddress | undefined {
  const level = family === 4 ? k.SOL_IP : k.SOL_IPV6;
  cell.reset();
  const result = libc.getsockopt(fd, level, k.SO_ORIGINAL_DST, cell.pointer, cell.lengthPointer);
  return result === 0 ? cell.read() : undefined;
}

export function setOption(fd: number, level: number, name: number, value: number): number {
  option.view.setInt32(0, value, true);
  return kernelResult(libc.setsockopt(fd, level, name, optionPointer, 4));
}

export function getOption(fd: number, level: number, name: number): number {
  optionLength.view.setInt32(0, 4, true);
  const result = kernelResult(libc.getsockopt(fd, level, name, optionPointer, optionLengthPointer));
  return result < 0 ? result : option.view.getInt32(0, true);
}

/** Takes the pending error of a socket off it: 0 or a negated errno. */
export function takeSocketError(fd: number): number {
  const errno = getOption(fd, k.SOL_SOCKET, k.SO_ERROR);
  return errno > 0 ? -errno : errno;
}

/** Makes the coming close send RST and drop what is unsent. */
export function lingerZero(fd: number): void {
  option.view.setInt32(k.LINGER.on, 1, true);
  option.view.setInt32(k.LINGER.seconds, 0, true);
  libc.setsockopt(fd, k.SOL_SOCKET, k.SO_LINGER, optionPointer, k.LINGER.size);
}

export function shutdownWriting(fd: number): number {
  return kernelResult(libc.shutdown(fd, k.SHUT_WR));
}

/** Reads into the buffer: bytes, 0 at the end of the stream, or a negated errno. */
export function readInto(fd: number, buffer: NativeBuffer, offset: number, length: number): number {
  return kernelResult(libc.read(fd, addressAt(buffer, offset, length), toUint64(length)));
}

/** Writes from the buffer. Node ignores SIGPIPE for the whole process, so this may be write(2). */
export function writeFrom(fd: number, buffer: NativeBuffer, offset: number, length: number): number {
  return kernelResult(libc.write(fd, addressAt(buffer, offset, length), toUint64(length)));
}

/** One datagram into the buffer, longer ones cut; {@link receivedFrom} then tells the sender. */
export function receiveDatagram(fd: number, buffer: NativeBuffer): number {
  cell.reset();
  const size = toUint64(buffer.size);
  return kernelResult(
    libc.recvfrom(
      fd,
      addressOf(buffer),
      size,
      k.MSG_DONTWAIT | k.MSG_TRUNC,
      cell.pointer,
      cell.lengthPointer,
    ),
  );
}

/** The sender of the datagram that {@link receiveDatagram} has just returned. */
export function receivedFrom(): SocketAddress | undefined {
  return cell.read();
}

export function sendDatagram(
  fd: number,
  buffer: NativeBuffer,
  length: number,
  target: { readonly address: SocketAddress; readonly family: IpFamily },
): number {
  const size = cell.write(target.address, target.family);
  const flags = k.MSG_DONTWAIT | k.MSG_NOSIGNAL;
  return kernelResult(
    libc.sendto(fd, addressAt(buffer, 0, length), toUint64(length), flags, cell.pointer, size),
  );
}
