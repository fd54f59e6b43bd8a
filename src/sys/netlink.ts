/** Questions to the kernel over netlink(7). */

import * as k from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { NativeBuffer } from './native-buffer.ts';
import { writeFrom } from './sockets.ts';

/** A socket of this netlink family in the network namespace that the thread is in, or a negated errno. */
export function openNetlink(family: number): number {
  return kernelResult(libc.socket(k.AF_NETLINK, k.SOCK_DGRAM | k.NONBLOCK_CLOEXEC, family));
}

/** A message with its header filled in, and zeros for a body of so many bytes behind `NLMSGHDR.size`. */
export function netlinkRequest(type: number, flags: number, bodyBytes: number): NativeBuffer {
  const { NLMSGHDR } = k;
  const request = new NativeBuffer(NLMSGHDR.size + bodyBytes);
  request.view.setUint32(NLMSGHDR.length, request.size, true);
  request.view.setUint16(NLMSGHDR.type, type, true);
  request.view.setUint16(NLMSGHDR.flags, flags, true);
  return request;
}

/** Hands the message over; the kernel has begun to answer when this returns. Bytes, or a negated errno. */
export function askNetlink(fd: number, request: NativeBuffer): number {
  return writeFrom(fd, request, 0, request.size);
}
