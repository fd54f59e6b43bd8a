/** Messages with descriptors over Unix sockets: sendmsg(2), recvmsg(2) and SCM_RIGHTS. */

import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { addressAt, addressOf, lastingAddressOf, NativeBuffer } from './native-buffer.ts';

/** Descriptors per message; the kernel would allow 253. */
export const MAX_FDS = 16;

const control = new NativeBuffer(k.CMSGHDR.data + MAX_FDS * 4);
const iov = new NativeBuffer(k.IOVEC.size);
const header = new NativeBuffer(k.MSGHDR.size);
const headerPointer = lastingAddressOf(header);
header.view.setBigUint64(k.MSGHDR.iov, lastingAddressOf(iov), true);
header.view.setBigUint64(k.MSGHDR.iovCount, 1n, true);

export interface ReceivedMessage {
  /** Of the message in the buffer; 0 at the end of the connection. */
  readonly length: number;
  /** Ours to close, close-on-exec. */
  readonly fds: number[];
  /** The message or its descriptors did not fit; what did is here all the same. */
  readonly truncated: boolean;
}

/** Sends `length` bytes of the buffer as one message with at most {@link MAX_FDS} descriptors; a negated errno on failure. */
export function sendMessage(
  fd: number,
  buffer: NativeBuffer,
  length: number,
  fds: readonly number[],
): number {
  prepare(buffer, length, fds.length === 0 ? 0 : k.CMSGHDR.data + fds.length * 4);
  control.view.setBigUint64(k.CMSGHDR.length, BigInt(k.CMSGHDR.data + fds.length * 4), true);
  control.view.setInt32(k.CMSGHDR.level, k.SOL_SOCKET, true);
  control.view.setInt32(k.CMSGHDR.type, k.SCM_RIGHTS, true);
  for (const [i, one] of fds.entries()) control.view.setInt32(k.CMSGHDR.data + i * 4, one, true);
  return kernelResult(libc.sendmsg(fd, headerPointer, k.MSG_DONTWAIT | k.MSG_NOSIGNAL));
}

/** The next message, or a negated errno. */
export function receiveMessage(fd: number, buffer: NativeBuffer): ReceivedMessage | number {
  prepare(buffer, buffer.size, control.size);
  const length = kernelResult(libc.recvmsg(fd, headerPointer, k.MSG_DONTWAIT | k.MSG_CMSG_CLOEXEC));
  if (length < 0) return length;
  const flags = header.view.getInt32(k.MSGHDR.flags, true);
  return { length, fds: receivedFds(), truncated: (flags & (k.MSG_TRUNC | k.MSG_CTRUNC)) !== 0 };
}

function prepare(buffer: NativeBuffer, length: number, controlLength: number): void {
  iov.view.setBigUint64(k.IOVEC.base, addressAt(buffer, 0, length), true);
  iov.view.setBigUint64(k.IOVEC.length, BigInt(length), true);
  header.view.setBigUint64(k.MSGHDR.control, controlLength === 0 ? 0n : addressOf(control), true);
  header.view.setBigUint64(k.MSGHDR.controlLength, BigInt(controlLength), true);
  header.view.setInt32(k.MSGHDR.flags, 0, true);
}

/** Without SO_PASSCRED and the like, the only control message there can be is one of SCM_RIGHTS. */
function receivedFds(): number[] {
  const filled = Number(header.view.getBigUint64(k.MSGHDR.controlLength, true));
  if (filled < k.CMSGHDR.data || control.view.getInt32(k.CMSGHDR.type, true) !== k.SCM_RIGHTS) return [];
  const length = Number(control.view.getBigUint64(k.CMSGHDR.length, true));
  const count = Math.floor((Math.min(length, filled) - k.CMSGHDR.data) / 4);
  return Array.from({ length: count }, (_, i) => control.view.getInt32(k.CMSGHDR.data + i * 4, true));
}
