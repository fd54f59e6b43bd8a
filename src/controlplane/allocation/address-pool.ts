/** The addresses the mesh gives to hosts that have none of their own: 240.240.0.0/16 and 2001:2::/48, as Istio does. */

import { Cidr, familyOf, type IpAddress, type IpFamily, ipFromBytes } from '../../base/ip.ts';

const BLOCKS: Readonly<Record<IpFamily, Cidr>> = {
  4: Cidr.parse('240.240.0.0/16')!,
  6: Cidr.parse('2001:2::/48')!,
};
/** Offsets from 1 to this one are given out: neither the first nor the last address of the IPv4 block. */
const LAST_OFFSET = 0xfffe;

/** Which addresses are taken; each belongs to one host. */
export class AddressPool {
  readonly #taken = new Set<IpAddress>();

  /** Whether the mesh gives out addresses like this one. */
  static contains(ip: IpAddress): boolean {
    return BLOCKS[familyOf(ip)].contains(ip);
  }

  isTaken(ip: IpAddress): boolean {
    return this.#taken.has(ip);
  }

  take(ip: IpAddress): void {
    this.#taken.add(ip);
  }

  /**
   * Takes a free address: the one that the name stands for, or the next free one after it, so that the same names
   * get the same addresses again after everything was forgotten. Undefined when none is left.
   */
  choose(family: IpFamily, name: string): IpAddress | undefined {
    const start = hash(name) % LAST_OFFSET;
    for (let tried = 0; tried < LAST_OFFSET; tried++) {
      const ip = addressAt(family, ((start + tried) % LAST_OFFSET) + 1);
      if (this.#taken.has(ip)) continue;
      this.#taken.add(ip);
      return ip;
    }
    return undefined;
  }
}

function addressAt(family: IpFamily, offset: number): IpAddress {
  const bytes = Uint8Array.from(BLOCKS[family].bytes);
  bytes[bytes.length - 2] = offset >>> 8;
  bytes[bytes.length - 1] = offset & 0xff;
  return ipFromBytes(bytes)!;
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return value;
}
