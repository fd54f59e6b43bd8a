/** Which ServiceEntry hosts get which allocated addresses. */

import { isDeepStrictEqual } from 'node:util';
import { familyOf, type IpAddress, type IpFamily, parseIp } from '../../base/ip.ts';
import type { ServiceEntry, ServiceEntryAddress } from '../../objects/istio-types.ts';
import { allocatableHosts } from '../compile/service-entry.ts';
import { compareAge } from '../compile/service-hosts.ts';
import { AddressPool } from './address-pool.ts';

export interface AddressChange {
  readonly entry: ServiceEntry;
  /** What `status.addresses` must be; null when it must go. */
  readonly addresses: readonly ServiceEntryAddress[] | null;
}

const FAMILIES: readonly IpFamily[] = [4, 6];

/**
 * Compares the addresses in the status of all entries with those they should have: one of each family for every
 * host that wants some. Those in the status stay, unless an older entry has them as well.
 */
export function planAddresses(entries: readonly ServiceEntry[]): readonly AddressChange[] {
  const oldestFirst = [...entries].sort((a, b) => compareAge(a.metadata, b.metadata));
  const pool = new AddressPool();
  for (const entry of oldestFirst) reserveExplicit(pool, entry);
  const kept = new Map(oldestFirst.map((entry) => [entry, keepAddresses(pool, entry)]));
  return oldestFirst.flatMap((entry) => {
    const wanted = completeAddresses(pool, entry, kept.get(entry)!);
    const present = entry.status?.addresses ?? [];
    if (isDeepStrictEqual(wanted, present)) return [];
    return { entry, addresses: wanted.length === 0 ? null : wanted };
  });
}

/** Addresses that a person has written down are nobody else's. */
function reserveExplicit(pool: AddressPool, entry: ServiceEntry): void {
  for (const text of entry.spec.addresses ?? []) {
    const ip = parseIp(text);
    if (ip !== undefined) pool.take(ip);
  }
}

/** Host and family → address. */
type Kept = ReadonlyMap<string, IpAddress>;

function keepAddresses(pool: AddressPool, entry: ServiceEntry): Kept {
  const kept = new Map<string, IpAddress>();
  const hosts = allocatableHosts(entry);
  for (const { value, host = hosts[0] } of entry.status?.addresses ?? []) {
    const ip = parseIp(value);
    if (ip === undefined || host === undefined || !hosts.includes(host.toLowerCase())) continue;
    const slot = slotOf(host.toLowerCase(), familyOf(ip));
    if (kept.has(slot) || pool.isTaken(ip) || !AddressPool.contains(ip)) continue;
    pool.take(ip);
    kept.set(slot, ip);
  }
  return kept;
}

function completeAddresses(
  pool: AddressPool,
  entry: ServiceEntry,
  kept: Kept,
): readonly ServiceEntryAddress[] {
  const { namespace, name } = entry.metadata;
  return allocatableHosts(entry).flatMap((host) =>
    FAMILIES.flatMap((family) => {
      const ip = kept.get(slotOf(host, family)) ?? pool.choose(family, `${namespace}/${name}/${host}`);
      return ip === undefined ? [] : { value: ip, host };
    }),
  );
}

function slotOf(host: string, family: IpFamily): string {
  return `${family}|${host}`;
}
