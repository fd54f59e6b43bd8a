/** Services by name, host name and virtual address, each with its endpoints. */

import { Cidr, familyOf, type IpAddress, ipToBytes } from '../base/ip.ts';
import { CidrTable } from './cidr-table.ts';
import { namespacedHostname } from './gateway-address.ts';
import { ipWords } from './ip-words.ts';
import type { Service, ServiceAddress } from './service.ts';
import { ServiceRecord } from './service-record.ts';
import type { Workload } from './workload.ts';

type Records = readonly ServiceRecord[];

interface NetworkServices {
  readonly exact: Map<IpAddress, Records>;
  readonly blocks: CidrTable<Records>;
}

export class ServiceIndex {
  /** Also the records of services that are not known yet, for their endpoints. */
  readonly #byName = new Map<string, ServiceRecord>();
  /** Lists are in the order of names, so that every thread and node settles a tie alike. */
  readonly #byHostname = new Map<string, Records>();
  readonly #byNetwork = new Map<string, NetworkServices>();
  #size = 0;

  /** Known services, staged ones not counted. */
  get size(): number {
    return this.#size;
  }

  records(): MapIterator<ServiceRecord> {
    return this.#byName.values();
  }

  get(name: string): ServiceRecord | undefined {
    return this.#byName.get(name);
  }

  /** All services of a host name. */
  withHostname(hostname: string): Records {
    return this.#byHostname.get(hostname) ?? [];
  }

  /**
   * The service that a client of a namespace means by an address: an exact address before a block of addresses.
   * Without a namespace, visibility is not looked at.
   */
  byVip(network: string, ip: IpAddress, clientNamespace: string | undefined): ServiceRecord | undefined {
    const services = this.#byNetwork.get(network);
    if (services === undefined) return undefined;
    const exact = services.exact.get(ip);
    const found = exact === undefined ? undefined : preferredService(exact, clientNamespace);
    if (found !== undefined || services.blocks.isEmpty) return found;
    return preferredBlock(services.blocks, ip, clientNamespace);
  }

  upsert(service: Service): void {
    const record = this.#recordOf(namespacedHostname(service));
    const previous = record.service;
    record.service = service;
    if (previous === undefined) {
      this.#size++;
      addTo(this.#byHostname, service.hostname, record);
    }
    for (const address of service.addresses) this.#addAddress(address, record);
    if (previous === undefined || previous.addresses.length === 0) return;
    const kept = new Set(service.addresses.map(addressKey));
    for (const address of previous.addresses) {
      if (!kept.has(addressKey(address))) this.#removeAddress(address, record);
    }
  }

  /** Forgets the service; its endpoints stay, staged for its return. */
  remove(name: string): Service | undefined {
    const record = this.#byName.get(name);
    const service = record?.service;
    if (record === undefined || service === undefined) return undefined;
    for (const address of service.addresses) this.#removeAddress(address, record);
    removeFrom(this.#byHostname, service.hostname, record);
    record.service = undefined;
    this.#size--;
    this.#dropIfEmpty(record);
    return service;
  }

  setEndpoint(name: string, workload: Workload): void {
    this.#recordOf(name).setEndpoint(workload);
  }

  removeEndpoint(name: string, uid: string): void {
    const record = this.#byName.get(name);
    record?.deleteEndpoint(uid);
    if (record !== undefined) this.#dropIfEmpty(record);
  }

  #recordOf(name: string): ServiceRecord {
    let record = this.#byName.get(name);
    if (record === undefined) {
      record = new ServiceRecord(name);
      this.#byName.set(name, record);
    }
    return record;
  }

  #dropIfEmpty(record: ServiceRecord): void {
    if (record.isEmpty) this.#byName.delete(record.name);
  }

  #addAddress(address: ServiceAddress, record: ServiceRecord): void {
    let services = this.#byNetwork.get(address.network);
    if (services === undefined) {
      services = { exact: new Map(), blocks: new CidrTable() };
      this.#byNetwork.set(address.network, services);
    }
    if (address.prefixLength === undefined) return addTo(services.exact, address.ip, record);
    if (isPrefixLength(address))
      replaceBlock(services.blocks, address, (records) => withRecord(records, record));
  }

  #removeAddress(address: ServiceAddress, record: ServiceRecord): void {
    const services = this.#byNetwork.get(address.network);
    if (services === undefined) return;
    if (address.prefixLength === undefined) removeFrom(services.exact, address.ip, record);
    else if (isPrefixLength(address)) {
      replaceBlock(services.blocks, address, (records) => records.filter((one) => one !== record));
    }
    if (services.exact.size === 0 && services.blocks.isEmpty) this.#byNetwork.delete(address.network);
  }
}

/** Of several services: the client's own namespace, then the canonical one, then the first by name. */
export function preferredService(
  records: Records,
  clientNamespace: string | undefined,
): ServiceRecord | undefined {
  let best: ServiceRecord | undefined;
  let bestRank = -1;
  for (const record of records) {
    const rank = preference(record.service!, clientNamespace);
    if (rank > bestRank) [best, bestRank] = [record, rank];
  }
  return best;
}

/** -1: the client must not see the service. */
function preference(service: Service, clientNamespace: string | undefined): number {
  const own = service.namespace === clientNamespace;
  if (service.visibility === 'NAMESPACE' && !own && clientNamespace !== undefined) return -1;
  return (own ? 2 : 0) + (service.canonical ? 1 : 0);
}

/** Blocks rank by own namespace, then the longest prefix, then canonical. */
function preferredBlock(
  blocks: CidrTable<Records>,
  ip: IpAddress,
  clientNamespace: string | undefined,
): ServiceRecord | undefined {
  const words = ipWords(ip);
  let longest: ServiceRecord | undefined;
  for (const length of blocks.lengths(words.family)) {
    const records = blocks.at(words, length);
    const found = records === undefined ? undefined : preferredService(records, clientNamespace);
    if (found?.service?.namespace === clientNamespace && found !== undefined) return found;
    longest ??= found;
  }
  return longest;
}

/** Equal for addresses that are indexed alike: 10.1.2.3/8 is the block 10.0.0.0/8. */
function addressKey(address: ServiceAddress): string {
  const { network, ip, prefixLength } = address;
  return `${network}\n${prefixLength === undefined ? ip : new Cidr(ipToBytes(ip), prefixLength)}`;
}

function isPrefixLength(address: ServiceAddress): boolean {
  const length = address.prefixLength!;
  return Number.isInteger(length) && length >= 0 && length <= (familyOf(address.ip) === 4 ? 32 : 128);
}

function replaceBlock(
  blocks: CidrTable<Records>,
  address: ServiceAddress,
  change: (records: Records) => Records,
): void {
  const words = ipWords(address.ip);
  const length = address.prefixLength!;
  const next = change(blocks.at(words, length) ?? []);
  if (next.length > 0) blocks.set(words, length, next);
  else blocks.delete(words, length);
}

function addTo<K>(index: Map<K, Records>, key: K, record: ServiceRecord): void {
  const present = index.get(key);
  index.set(key, present === undefined ? [record] : withRecord(present, record));
}

function removeFrom<K>(index: Map<K, Records>, key: K, record: ServiceRecord): void {
  const rest = index.get(key)?.filter((one) => one !== record) ?? [];
  if (rest.length === 0) index.delete(key);
  else index.set(key, rest);
}

function withRecord(records: Records, record: ServiceRecord): Records {
  if (records.includes(record)) return records;
  return [...records, record].sort((a, b) => (a.name < b.name ? -1 : 1));
}
