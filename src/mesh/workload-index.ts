/** Workloads by uid, by address and by host name. */

import type { IpAddress } from '../base/ip.ts';
import type { Workload } from './workload.ts';

/** Nearly every address belongs to one workload; only then is there no array. */
type OneOrMany = Workload | readonly Workload[];

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

  /** Adds a workload whose uid is not there. */
  add(workload: Workload): void {
    this.#byUid.set(workload.uid, workload);
    for (const ip of indexedAddresses(workload)) this.#addAddress(ip, workload);
    if (workload.hostname === '') return;
    const others = this.#byHostname.get(workload.hostname) ?? [];
    this.#byHostname.set(workload.hostname, [...others, workload]);
  }

  /** Removes the very object that was added. */
  remove(workload: Workload): void {
    this.#byUid.delete(workload.uid);
    for (const ip of indexedAddresses(workload)) this.#removeAddress(ip, workload);
    if (workload.hostname === '') return;
    const rest = this.#byHostname.get(workload.hostname)?.filter((one) => one !== workload) ?? [];
    if (rest.length === 0) this.#byHostname.delete(workload.hostname);
    else this.#byHostname.set(workload.hostname, rest);
  }

  #addAddress(ip: IpAddress, workload: Workload): void {
    let addresses = this.#byAddress.get(workload.network);
    if (addresses === undefined) {
      addresses = new Map();
      this.#byAddress.set(workload.network, addresses);
    }
    const present = addresses.get(ip);
    if (present === undefined) addresses.set(ip, workload);
    else addresses.set(ip, insertByPrecedence(isList(present) ? present : [present], workload));
  }

  #removeAddress(ip: IpAddress, workload: Workload): void {
    const addresses = this.#byAddress.get(workload.network);
    const present = addresses?.get(ip);
    if (addresses === undefined || present === undefined) return;
    const rest = isList(present) ? present.filter((one) => one !== workload) : [];
    if (rest.length > 1) addresses.set(ip, rest);
    else if (rest.length === 1) addresses.set(ip, rest[0]!);
    else addresses.delete(ip);
    if (addresses.size === 0) this.#byAddress.delete(workload.network);
  }
}

function isList(found: OneOrMany): found is readonly Workload[] {
  return Array.isArray(found);
}

/** The address of a node is shared by its HOST_NETWORK workloads, so it names none of them. */
function indexedAddresses(workload: Workload): readonly IpAddress[] {
  return workload.networkMode === 'HOST_NETWORK' ? [] : workload.addresses;
}

/** Among equals the newest comes first: it is the one that has the address now. */
function insertByPrecedence(present: readonly Workload[], added: Workload): readonly Workload[] {
  const rank = precedence(added);
  const at = present.findIndex((one) => precedence(one) <= rank);
  return at < 0 ? [...present, added] : present.toSpliced(at, 0, added);
}
