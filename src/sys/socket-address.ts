/** Socket addresses as the kernel reads and writes them. */

import type { IpFamily, SocketAddress } from '../base/ip.ts';
import { familyOf, ipToBytes, ipv4At, ipv6At, writeIpv4 } from '../base/ip.ts';
import { AF_INET, AF_INET6, AF_UNIX, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_UN } from './layouts.ts';
import { addressOf, NativeBuffer } from './native-buffer.ts';

/** What a socket has instead of an address once nobody can ask the kernel any more. */
export const UNKNOWN_ADDRESS: SocketAddress = { ip: ipv4At(new Uint8Array(4), 0), port: 0 };

/** Room for one address of any family, with its length beside it: the two arguments of accept4, getsockname, … */
export class AddressCell {
  readonly #memory = new NativeBuffer(SOCKADDR_UN.size);
  readonly #length = new NativeBuffer(4);
  readonly pointer = addressOf(this.#memory);
  readonly lengthPointer = addressOf(this.#length);

  /** Tells the kernel how much room there is; before every call that fills the cell. */
  reset(): this {
    this.#length.view.setInt32(0, SOCKADDR_UN.size, true);
    return this;
  }

  /** The address the kernel wrote, IPv4-mapped IPv6 as IPv4; undefined for other families. */
  read(): SocketAddress | undefined {
    const { view, bytes } = this.#memory;
    const family = view.getUint16(0, true);
    if (family !== AF_INET && family !== AF_INET6) return undefined;
    const ip = family === AF_INET ? ipv4At(bytes, SOCKADDR_IN.address) : ipv6At(bytes, SOCKADDR_IN6.address);
    return { ip, port: view.getUint16(SOCKADDR_IN.port, false) };
  }

  /** Writes an address for a socket of the given family (IPv4 on an IPv6 socket becomes mapped); returns its length. */
  write(address: SocketAddress, family: IpFamily): number {
    const { view, bytes } = this.#memory;
    bytes.fill(0);
    view.setUint16(SOCKADDR_IN.port, address.port, false);
    if (family === 4) {
      view.setUint16(SOCKADDR_IN.family, AF_INET, true);
      writeIpv4(address.ip, bytes, SOCKADDR_IN.address);
      return SOCKADDR_IN.size;
    }
    view.setUint16(SOCKADDR_IN6.family, AF_INET6, true);
    if (familyOf(address.ip) === 6) {
      bytes.set(ipToBytes(address.ip), SOCKADDR_IN6.address);
    } else {
      bytes.set([0xff, 0xff], SOCKADDR_IN6.address + 10);
      writeIpv4(address.ip, bytes, SOCKADDR_IN6.address + 12);
    }
    return SOCKADDR_IN6.size;
  }

  /** Writes a Unix socket path; undefined when it does not fit (107 bytes). */
  writePath(path: string): number | undefined {
    const { view, bytes } = this.#memory;
    const encoded = Buffer.from(path);
    if (encoded.length >= SOCKADDR_UN.pathSize || encoded.includes(0)) return undefined;
    bytes.fill(0);
    view.setUint16(SOCKADDR_UN.family, AF_UNIX, true);
    bytes.set(encoded, SOCKADDR_UN.path);
    return SOCKADDR_UN.size;
  }
}
