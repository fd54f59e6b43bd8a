/** Workloads by uid, by address and by host name. */

import type { IpAddress } from '../base/ip.ts';
import type { Workload } from './workload.ts';

/** Nearly every address belongs to one workload; only then is there no array. */
type OneOrMany = Workload | readonly Workload[];

const NOBODY: readonly Workload[] = [];
const NO_ADDRESSES: readonly IpAddress[] = [];

/** How Istio tells the uid of a pod: `<cluster>//Pod/<namespace>/<name>`. */
const POD_UID_PART = '//Pod/';

/** Of several workloads that claim one IP, the one with the highest precedence has it (a finished Job, a reused IP). */
function precedence(workload: Workload): number {
  const pod = workload.uid.includes(POD_UID_PART) ? 2 : 0;
  return workload.tunnelProtocol === 'HBONE' ? pod + 1 : pod;
}

export class WorkloadIndex {
  readonly #byUid = new Map<string, Workload>();
  /** Network, then IP; a list has the workload in force first. */
  readonly #byAddress = new Map<string, Map<IpAddress, OneOrMany>>();
  /** Only workloads that have a host name, which few have. */
  readonly #byHostname = new Map<string, Workload[]>();

  get size(): number {
    return this.#byUid.size;
  }

  values(): MapIterator<Workload> {
    return this.#byUid.values();
  }

  get(uid: string): Workload | undefined {
    return this.#byUid.get(uid);
  }

  byAddress(network: string, ip: IpAddress): Workload | undefined {
    const found = this.#byAddress.get(network)?.get(ip);
    return found === undefined || !isList(found) ? found : found[0];
  }

  byHostname(namespace: string, hostname: string): Workload | undefined {
    return this.#byHostname.get(hostname)?.find((workload) => workload.namespace === namespace);
  }

  /**
   * Adds a workload, or replaces the one of the same uid, which is returned. Keys that stay are overwritten rather than
   * deleted and set again: V8's maps keep the traces of deleted keys in their hash chains, so that a pod that flips
   * between ready and unready would slow down every further update of itself.
   */
  upsert(workload: Workload): Workload | undefined {
    const before = this.#byUid.get(workload.uid);
    this.#byUid.set(workload.uid, workload);
    for (const ip of indexedAddresses(workload)) this.#setAddress(ip, workload, before);
    if (before !== undefined) this.#removeAddresses(before);
    if (before !== undefined && before.hostname !== '') this.#removeHostname(before);
    if (workload.hostname !== '') this.#addHostname(workload);
    return before;
  }

  remove(uid: string): Workload | undefined {
    const before = this.#byUid.get(uid);
    if (before === undefined) return undefined;
    this.#byUid.delete(uid);
    this.#removeAddresses(before);
    if (before.hostname !== '') this.#removeHostname(before);
    return before;
  }

  #setAddress(ip: IpAddress, workload: Workload, before: Workload | undefined): void {
    let addresses = this.#byAddress.get(workload.network);
    if (addresses === undefined) {
      addresses = new Map();
      this.#byAddress.set(workload.network, addresses);
    }
    const others = otherClaims(addresses.get(ip), before);
    addresses.set(ip, others.length === 0 ? workload : insertByPrecedence(others, workload));
  }

  /** Takes back the claims of this very object; those that its successor has made stay. */
  #removeAddresses(before: Workload): void {
    const addresses = this.#byAddress.get(before.network);
    if (addresses === undefined) return;
    for (const ip of indexedAddresses(before)) {
      const others = otherClaims(addresses.get(ip), before);
      if (others.length === 0) addresses.delete(ip);
      else addresses.set(ip, others.length === 1 ? others[0]! : others);
    }
    if (addresses.size === 0) this.#byAddress.delete(before.network);
  }

  #addHostname(workload: Workload): void {
    const others = this.#byHostname.get(workload.hostname) ?? [];
    this.#byHostname.set(workload.hostname, [...others, workload]);
  }

  #removeHostname(workload: Workload): void {
    const rest = this.#byHostname.get(workload.hostname)?.filter((one) => one !== workload) ?? [];
    if (rest.length === 0) this.#byHostname.delete(workload.hostname);
    else this.#byHostname.set(workload.hostname, rest);
  }
}

/** Who claims an address beside a workload. */
function otherClaims(present: OneOrMany | undefined, workload: Workload | undefined): readonly Workload[] {
  if (present === undefined || present === workload) return NOBODY;
  return isList(present) ? present.filter((one) => one !== workload) : [present];
}

function isList(found: OneOrMany): found is readonly Workload[] {
  return Array.isArray(found);
}

/** The address of a node is shared by its HOST_NETWORK workloads, so it names none of them. */
function indexedAddresses(workload: Workload): readonly IpAddress[] {
  return workload.networkMode === 'HOST_NETWORK' ? NO_ADDRESSES : workload.addresses;
}

/** Among equals the newest comes first: it is the one that has the address now. */
function insertByPrecedence(present: readonly Workload[], added: Workload): readonly Workload[] {
  const rank = precedence(added);
  const at = present.findIndex((one) => precedence(one) <= rank);
  return at < 0 ? [...present, added] : present.toSpliced(at, 0, added);
}
