/** Every packet of a network interface as it is (packet(7)), for captures and relays inside namespaces. */

import { succeeded } from './errno.ts';
import { self } from './ffi.ts';
import { NONBLOCK_CLOEXEC } from './layouts.ts';
import { kernelResult, libc } from './libc.ts';
import { lastingAddressOf, NativeBuffer } from './native-buffer.ts';
import { setOption } from './sockets.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
/** ETH_P_ALL in network order. */
const EVERY_PROTOCOL = 0x0300;
/** struct sockaddr_ll {u16 family; be16 protocol; i32 ifindex; …} */
const SOCKADDR_LL = { family: 0, protocol: 2, interfaceIndex: 4, size: 20 } as const;

const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;

const indexOf = self.getFunction('if_nametoindex', { arguments: ['string'], return: 'u32' });
const address = new NativeBuffer(SOCKADDR_LL.size);
const addressPointer = lastingAddressOf(address);

/**
 * A non-blocking descriptor that reads one packet at a time, link-layer header first. Needs CAP_NET_RAW.
 * @throws AMBIT_SYSTEM_CALL_FAILED, also when this namespace has no such interface
 */
export function openPacketSocket(interfaceName: string): number {
  const index = indexOf(interfaceName);
  succeeded(index === 0 ? -19 : index, `find interface ${interfaceName}`);
  const fd = succeeded(
    kernelResult(libc.socket(AF_PACKET, SOCK_RAW | NONBLOCK_CLOEXEC, EVERY_PROTOCOL)),
    'open a packet socket',
  );
  address.view.setUint16(SOCKADDR_LL.family, AF_PACKET, true);
  address.view.setUint16(SOCKADDR_LL.protocol, EVERY_PROTOCOL, true);
  address.view.setInt32(SOCKADDR_LL.interfaceIndex, index, true);
  succeeded(kernelResult(libc.bind(fd, addressPointer, SOCKADDR_LL.size)), `bind to ${interfaceName}`);
  return fd;
}

/**
 * For whoever writes into one interface what comes in at another: packets that leave here are not read, and each begins
 * with the kernel's notes (struct virtio_net_hdr) on what is still to be done to it, checksums and segments, which have to
 * be written with it again.
 * @throws AMBIT_SYSTEM_CALL_FAILED
 */
export function prepareToRelay(fd: number): void {
  for (const option of [PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING])
    succeeded(setOption(fd, SOL_PACKET, option, 1), 'prepare a packet socket to relay');
}
