/** SO_REUSEPORT groups: how many sockets listen on a port, and which of them gets what is new. */

import type { IpFamily } from '../base/ip.ts';
import { succeeded, systemError } from './errno.ts';
import * as k from './layouts.ts';
import { libc } from './libc.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';
import { askNetlink, netlinkRequest, openNetlink } from './netlink.ts';
import { attachProgram } from './socket-filter.ts';
import { closeDescriptor, readInto } from './sockets.ts';

const DUMP_BYTES = 32 * 1024;

/**
 * Makes the kernel give every new connection, or datagram, of the socket's group to the member with this index; members
 * are in the order in which they began to listen, and the last one takes the place of one that leaves. An index that the
 * group does not have leaves the choice to the kernel, as it is without this. Needs no privilege: it is classic BPF.
 * Returns 0 or a negated errno.
 */
export function steerGroup(fd: number, index: number): number {
  return attachProgram(fd, k.SO_ATTACH_REUSEPORT_CBPF, [{ code: k.BPF_RET_K, operand: index }]);
}

/** Leaves the choice to the kernel again; where nobody had taken it from the kernel, nothing changes. */
export function stopSteering(fd: number): void {
  const ignored = new NativeBuffer(4);
  libc.setsockopt(fd, k.SOL_SOCKET, k.SO_DETACH_REUSEPORT_BPF, addressOf(ignored), ignored.size);
}

/**
 * TCP sockets of this family that listen on the port in the network namespace this thread is in, of all processes
 * (sock_diag(7)).
 * @throws AMBIT_SYSTEM_CALL_FAILED
 */
export function countListeners(port: number, family: IpFamily): number {
  const fd = succeeded(openNetlink(k.NETLINK_SOCK_DIAG), 'open a socket of sock_diag');
  try {
    return countDump(fd, listenersOn(port, family));
  } finally {
    closeDescriptor(fd);
  }
}

function countDump(fd: number, request: NativeBuffer): number {
  succeeded(askNetlink(fd, request), 'ask sock_diag for listeners');
  const answer = new NativeBuffer(DUMP_BYTES);
  for (let count = 0; ; ) {
    const length = succeeded(readInto(fd, answer, 0, answer.size), 'read the listeners from sock_diag');
    const part = readMessages(answer.view, length);
    count += part.sockets;
    if (part.isLast) return count;
  }
}

function readMessages(view: DataView, length: number): { sockets: number; isLast: boolean } {
  const { NLMSGHDR } = k;
  let sockets = 0;
  for (let at = 0; at + NLMSGHDR.size <= length; ) {
    const type = view.getUint16(at + NLMSGHDR.type, true);
    if (type === k.NLMSG_DONE) return { sockets, isLast: true };
    if (type === k.NLMSG_ERROR) {
      throw systemError('list listeners by sock_diag', view.getInt32(at + NLMSGHDR.size, true));
    }
    sockets++;
    at += Math.max(NLMSGHDR.size, (view.getUint32(at + NLMSGHDR.length, true) + 3) & ~3);
  }
  return { sockets, isLast: false };
}

function listenersOn(port: number, family: IpFamily): NativeBuffer {
  const { NLMSGHDR, INET_DIAG_REQUEST } = k;
  const request = netlinkRequest(k.SOCK_DIAG_BY_FAMILY, k.NLM_F_REQUEST_DUMP, INET_DIAG_REQUEST.size);
  const { view } = request;
  const body = NLMSGHDR.size;
  view.setUint8(body + INET_DIAG_REQUEST.family, family === 4 ? k.AF_INET : k.AF_INET6);
  view.setUint8(body + INET_DIAG_REQUEST.protocol, k.IPPROTO_TCP);
  view.setUint32(body + INET_DIAG_REQUEST.states, 1 << k.TCP_LISTEN, true);
  view.setUint16(body + INET_DIAG_REQUEST.sourcePort, port, false);
  return request;
}
