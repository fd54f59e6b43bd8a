/** Which address belongs to whom in a sandbox: LAN, nodes, pods, services. Pure arithmetic, the same in every sandbox. */

import type { IpAddress, IpFamily } from '../../base/ip.ts';
import { sandboxErrors } from '../errors.ts';

export type IpFamilies = 'ipv4' | 'ipv6' | 'dual';

/** Of each /24 of pods: the first address is the gateway, the last one is kept free. */
const FIRST_POD = 2;
const LAST_POD = 254;
/** Kubernetes leaves the lower part of the block to addresses that users choose. */
const FIRST_DYNAMIC_SERVICE = 256;
const LAST_SERVICE = 65_534;
/** The customary address of cluster DNS. */
const DNS_SERVICE = 10;

export const CLUSTER_DOMAIN = 'cluster.local';
export const SERVICE_CIDRS: Readonly<Record<IpFamily, string>> = { 4: '10.96.0.0/16', 6: 'fd00:10:96::/112' };
export const LAN_CIDRS: Readonly<Record<IpFamily, string>> = { 4: '172.30.0.0/24', 6: 'fd00:30::/64' };
export const POD_CIDRS: Readonly<Record<IpFamily, string>> = { 4: '10.244.0.0/16', 6: 'fd00:10:244::/48' };

export function familiesOf(families: IpFamilies): readonly IpFamily[] {
  if (families === 'dual') return [4, 6];
  return families === 'ipv4' ? [4] : [6];
}

/** The bridge that all nodes hang on; their default gateway. */
export function lanGateway(family: IpFamily): IpAddress {
  return address(family === 4 ? '172.30.0.1' : 'fd00:30::1');
}

/** @param index of the node, from 1 */
export function nodeAddress(index: number, family: IpFamily): IpAddress {
  return address(family === 4 ? `172.30.0.${10 + index}` : `fd00:30::${10 + index}`);
}

export function podCidr(index: number, family: IpFamily): string {
  return family === 4 ? `10.244.${index}.0/24` : `fd00:10:244:${index}::/64`;
}

/** The node's end of every pod's link. */
export function podGateway(index: number, family: IpFamily): IpAddress {
  return podAddress(index, 1, family);
}

function podAddress(index: number, host: number, family: IpFamily): IpAddress {
  return address(family === 4 ? `10.244.${index}.${host}` : `fd00:10:244:${index}::${host.toString(16)}`);
}

export function dnsAddress(family: IpFamily): IpAddress {
  return serviceAddress(DNS_SERVICE, family);
}

function serviceAddress(host: number, family: IpFamily): IpAddress {
  return address(family === 4 ? `10.96.${host >> 8}.${host & 0xff}` : `fd00:10:96::${host.toString(16)}`);
}

/** Text that is written canonically above. */
function address(text: string): IpAddress {
  return text as IpAddress;
}

/** Hands out host numbers in order, and again only when all others have been used: a late packet meets no stranger. */
class NumberPool {
  readonly #first: number;
  readonly #last: number;
  readonly #used = new Set<number>();
  #next: number;

  constructor(first: number, last: number) {
    this.#first = first;
    this.#last = last;
    this.#next = first;
  }

  take(): number | undefined {
    for (let tried = this.#first; tried <= this.#last; tried++) {
      const candidate = this.#next;
      this.#next = candidate === this.#last ? this.#first : candidate + 1;
      if (this.#used.has(candidate)) continue;
      this.#used.add(candidate);
      return candidate;
    }
    return undefined;
  }

  release(number: number): void {
    this.#used.delete(number);
  }
}

/** A pod's addresses: the same host number in both families. */
export interface PodAddresses {
  readonly ips: readonly IpAddress[];
  release(): void;
}

/** The pod addresses of one node. */
export class PodAddressPool {
  readonly #index: number;
  readonly #numbers = new NumberPool(FIRST_POD, LAST_POD);

  constructor(nodeIndex: number) {
    this.#index = nodeIndex;
  }

  /** @throws AMBIT_SANDBOX_FULL */
  take(families: readonly IpFamily[]): PodAddresses {
    const host = this.#numbers.take();
    if (host === undefined) {
      throw sandboxErrors.AMBIT_SANDBOX_FULL(`node${this.#index} has no free pod address`);
    }
    return {
      ips: families.map((family) => podAddress(this.#index, host, family)),
      release: () => this.#numbers.release(host),
    };
  }
}

/** Service VIPs, each family on its own. */
export class ServiceAddressPool {
  #used = new Set<string>();
  #next = FIRST_DYNAMIC_SERVICE;

  /** Forgets what was handed out and not used in the end. */
  restart(used: Iterable<string>): void {
    this.#used = new Set(used);
  }

  /** Marks a VIP that a manifest chose itself. False when it is taken. */
  claim(ip: string): boolean {
    if (this.#used.has(ip)) return false;
    this.#used.add(ip);
    return true;
  }

  /** @throws AMBIT_SANDBOX_FULL */
  take(family: IpFamily): IpAddress {
    for (let tried = FIRST_DYNAMIC_SERVICE; tried <= LAST_SERVICE; tried++) {
      const candidate = serviceAddress(this.#next, family);
      this.#next = this.#next === LAST_SERVICE ? FIRST_DYNAMIC_SERVICE : this.#next + 1;
      if (this.claim(candidate)) return candidate;
    }
    throw sandboxErrors.AMBIT_SANDBOX_FULL('all service addresses are in use');
  }
}
