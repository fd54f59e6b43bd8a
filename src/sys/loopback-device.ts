/** Lets TCP over the loopback device of a network namespace use packets larger than 64 KiB. */

import * as k from './layouts.ts';
import { NativeBuffer } from './native-buffer.ts';
import { askNetlink, netlinkRequest, openNetlink } from './netlink.ts';
import { closeDescriptor, readInto } from './sockets.ts';

/** In every namespace. */
const LOOPBACK_INDEX = 1;
/** Of a packet with its headers, in bytes: what a stream writes at once. The default is 64 KiB, the kernel's most 512. */
const MAX_PACKET_BYTES = 256 * 1024;
const ANSWER_BYTES = 256;

/**
 * Applies to connections over IPv4 that begin later, in the namespace that this thread is in: fewer packets have to pass
 * the firewall and connection tracking for the same bytes. Linux 6.3 and newer; older ones ignore it. With IPv6 each
 * such packet would get another extension header. Needs CAP_NET_ADMIN. Returns 0 or a negated errno.
 */
export function enlargeLoopbackPackets(): number {
  const fd = openNetlink(k.NETLINK_ROUTE);
  if (fd < 0) return fd;
  try {
    return ask(fd, changeRequest());
  } finally {
    closeDescriptor(fd);
  }
}

function ask(fd: number, request: NativeBuffer): number {
  const sent = askNetlink(fd, request);
  if (sent < 0) return sent;
  const answer = new NativeBuffer(ANSWER_BYTES);
  const length = readInto(fd, answer, 0, answer.size);
  // The kernel has answered before write(2) returns: NLMSG_ERROR, with 0 for no error.
  return length < 0 ? length : answer.view.getInt32(k.NLMSGHDR.size, true);
}

function changeRequest(): NativeBuffer {
  const { NLMSGHDR, IFINFOMSG, RTATTR } = k;
  const request = netlinkRequest(k.RTM_NEWLINK, k.NLM_F_REQUEST_ACK, IFINFOMSG.size + RTATTR.size + 4);
  const { view } = request;
  view.setInt32(NLMSGHDR.size + IFINFOMSG.index, LOOPBACK_INDEX, true);
  const attribute = NLMSGHDR.size + IFINFOMSG.size;
  view.setUint16(attribute + RTATTR.length, RTATTR.size + 4, true);
  view.setUint16(attribute + RTATTR.type, k.IFLA_GSO_IPV4_MAX_SIZE, true);
  view.setUint32(attribute + RTATTR.size, MAX_PACKET_BYTES, true);
  return request;
}
