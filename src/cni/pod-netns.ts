/** Finds the network namespace of a pod, keeps it open, and notices when the pod has got another one. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AmbitError } from '../base/errors.ts';
import type { IpAddress } from '../base/ip.ts';
import { NetworkNamespace } from '../sys/network-namespace.ts';
import { cniErrors } from './errors.ts';
import { addressesIn } from './namespace-facts.ts';
import { type PodFacts, podLabel } from './pod-facts.ts';
import { podUids } from './pod-identity.ts';

/** A pod's namespace, held open: it outlives the pod until it is closed. */
export interface PodNetns {
  readonly namespace: NetworkNamespace;
  /** As the container runtime calls it; else as it was found. */
  readonly path: string;
  /** Where this process sees it. */
  readonly localPath: string;
}

/** What is known of a pod whose namespace is looked for. */
export interface NetnsQuery {
  /** In namespace/name form, for error messages. */
  readonly pod: string;
  /** The pod's uid, in the forms in which cgroups may have it. */
  readonly uids: readonly string[];
  /** Without the name of the runtime in front. */
  readonly containerIds: readonly string[];
  readonly ips: readonly IpAddress[];
  /** The path that the container runtime gave to the CNI plugin. */
  readonly path: string | undefined;
  /** Identity of a namespace that is known to be on its way out. */
  readonly notInode: string | undefined;
}

/**
 * What is known of this pod.
 * @param path from the container runtime
 * @param notInode of a namespace on its way out
 */
export function netnsQuery(pod: PodFacts, path?: string, notInode?: string): NetnsQuery {
  const { containerIds, ips } = pod;
  return { pod: podLabel(pod), uids: podUids(pod), containerIds, ips, path, notInode };
}

/** A way to find namespaces; the folder that container runtimes mount them in is one, /proc is another. */
export interface NetnsFinder {
  /** @throws AMBIT_CNI_NETNS_NOT_FOUND, AMBIT_CNI_NETNS_AMBIGUOUS */
  find(query: NetnsQuery): PodNetns;
}

interface FolderEntry {
  readonly path: string;
  readonly inode: string;
  readonly addresses: readonly IpAddress[];
  readonly readAtMs: number;
}

/** A thousand pods that are looked for at once must not each list a thousand files. */
const RESCAN_INTERVAL_MS = 50;
/** Nor read a thousand namespaces: what was read this recently, and had an address, is not read again. */
const FRESH_MS = 1_000;

/** Looks through a folder of namespaces for the one that really holds the pod's addresses. */
export class NetnsFolder implements NetnsFinder {
  readonly #folder: string;
  /** The node's own namespace, which is no pod's. */
  readonly #hostInode: string;
  /** The node's /proc, where this process sees it; absent: its own. */
  readonly #hostProc: string | undefined;
  /** By path. */
  #entries = new Map<string, FolderEntry>();
  #byAddress = new Map<IpAddress, FolderEntry[]>();
  #scannedAtMs = Number.NEGATIVE_INFINITY;

  constructor(folder: string, hostInode: string, hostProc?: string) {
    this.#folder = folder;
    this.#hostInode = hostInode;
    this.#hostProc = hostProc;
  }

  find(query: NetnsQuery): PodNetns {
    if (query.path !== undefined) return this.#openGiven(query, query.path);
    const first = this.#search(query);
    const found = first instanceof AmbitError && this.#rescan() ? this.#search(query) : first;
    if (found instanceof AmbitError) throw found;
    return found;
  }

  /** The plugin's word is better than any search, as the addresses may not be there yet. */
  #openGiven(query: NetnsQuery, path: string): PodNetns {
    for (const localPath of this.#placesOf(path)) {
      const namespace = openNamespace(localPath);
      if (namespace !== undefined && namespace.inode !== this.#hostInode)
        return { namespace, path, localPath };
      namespace?.close();
    }
    throw cniErrors.AMBIT_CNI_NETNS_NOT_FOUND(`${path} is no network namespace of pod ${query.pod}`);
  }

  /** The plugin speaks of the node's files: some are mounted here, all can be seen through the node's first process. */
  #placesOf(path: string): string[] {
    const proc = this.#hostProc;
    if (proc === undefined) return [path];
    if (path.startsWith('/proc/')) return [join(proc, path.slice('/proc'.length))];
    return [path, join(proc, '1/root', path)];
  }

  /** Looks through what the last scan saw. */
  #search(query: NetnsQuery): PodNetns | AmbitError {
    const [best, second] = this.#candidates(query);
    const addresses = query.ips.join(' or ') || 'an address';
    if (second !== undefined && second.held === best!.held && second.entry.inode !== best!.entry.inode) {
      const paths = `${best!.entry.path} and ${second.entry.path}`;
      return cniErrors.AMBIT_CNI_NETNS_AMBIGUOUS(`both ${paths} hold ${addresses} of pod ${query.pod}`);
    }
    const found = best === undefined ? undefined : this.#openVerified(query, best.entry);
    if (found !== undefined) return found;
    const message = `no network namespace in ${this.#folder} holds ${addresses} of pod ${query.pod}`;
    return cniErrors.AMBIT_CNI_NETNS_NOT_FOUND(message);
  }

  /** Those with the most of the pod's addresses first. */
  #candidates(query: NetnsQuery): { entry: FolderEntry; held: number }[] {
    const held = new Map<FolderEntry, number>();
    for (const entry of query.ips.flatMap((ip) => this.#byAddress.get(ip) ?? [])) {
      if (entry.inode !== query.notInode) held.set(entry, (held.get(entry) ?? 0) + 1);
    }
    return [...held]
      .map(([entry, count]) => ({ entry, held: count }))
      .sort((one, other) => other.held - one.held);
  }

  /** What was seen a moment ago may have changed: the address must be there in what was opened. */
  #openVerified(query: NetnsQuery, entry: FolderEntry): PodNetns | undefined {
    const namespace = openNamespace(entry.path);
    if (namespace === undefined) return undefined;
    const present = addressesIn(namespace);
    if (query.ips.some((ip) => present.includes(ip)))
      return { namespace, path: entry.path, localPath: entry.path };
    namespace.close();
    this.#entries.delete(entry.path);
    return undefined;
  }

  /** False when the last scan was only just made. */
  #rescan(): boolean {
    if (performance.now() - this.#scannedAtMs < RESCAN_INTERVAL_MS) return false;
    const paths = listFolder(this.#folder).map((name) => join(this.#folder, name));
    const entries = paths.map((path) => this.#readEntry(path)).filter((entry) => entry !== undefined);
    this.#entries = new Map(entries.map((entry) => [entry.path, entry]));
    this.#byAddress = new Map();
    for (const entry of entries) {
      for (const ip of entry.addresses) this.#byAddress.set(ip, [...(this.#byAddress.get(ip) ?? []), entry]);
    }
    this.#scannedAtMs = performance.now();
    return true;
  }

  #readEntry(path: string): FolderEntry | undefined {
    const known = this.#entries.get(path);
    const readAtMs = performance.now();
    const isFresh = known !== undefined && readAtMs - known.readAtMs < FRESH_MS && known.addresses.length > 0;
    if (isFresh && inodeOf(path) === known.inode) return known;
    const namespace = openNamespace(path);
    if (namespace === undefined) return undefined;
    const { inode } = namespace;
    const addresses = inode === this.#hostInode ? [] : addressesIn(namespace);
    namespace.close();
    return { path, inode, addresses, readAtMs };
  }
}

/** Asks one finder after the other; what the last one says of a pod that none has found is thrown. */
export class NetnsFinders implements NetnsFinder {
  readonly #first: NetnsFinder;
  readonly #others: readonly NetnsFinder[];

  constructor(first: NetnsFinder, ...others: NetnsFinder[]) {
    this.#first = first;
    this.#others = others;
  }

  find(query: NetnsQuery): PodNetns {
    try {
      return this.#first.find(query);
    } catch (thrown) {
      const [next, ...rest] = this.#others;
      // What the plugin has named is searched for nowhere else: the pod has no processes yet.
      if (next === undefined || query.path !== undefined) throw thrown;
      return new NetnsFinders(next, ...rest).find(query);
    }
  }
}

/** Whether the path where a namespace was found still leads to it. */
export function isStillThere(netns: PodNetns): boolean {
  return inodeOf(netns.localPath) === netns.namespace.inode;
}

function inodeOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/** Undefined when there is none, or when it is some other file: such a one cannot be entered. */
export function openNamespace(path: string): NetworkNamespace | undefined {
  let namespace: NetworkNamespace | undefined;
  try {
    namespace = NetworkNamespace.open(path);
    namespace.run(() => {});
    return namespace;
  } catch {
    namespace?.close();
    return undefined;
  }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
