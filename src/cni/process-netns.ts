/** Finds the network namespaces of running pods by their processes, for runtimes that mount them nowhere. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AmbitError } from '../base/errors.ts';
import { cniErrors } from './errors.ts';
import { addressesIn } from './namespace-facts.ts';
import { type PodCgroup, parsePodCgroup } from './pod-cgroup.ts';
import { type NetnsFinder, type NetnsQuery, openNamespace, type PodNetns } from './pod-netns.ts';

interface ProcessEntry extends PodCgroup {
  readonly path: string;
  readonly inode: string;
  /** In clock ticks since the node started. */
  readonly startedAt: number;
}

/** A node has thousands of processes; pods that are looked for at once share one walk through them. */
const RESCAN_INTERVAL_MS = 1_000;
/** Fields of /proc/PID/stat behind the name, which may have anything in it; starttime is the 22nd of all. */
const START_TIME_FIELD = 19;

export class ProcessNetns implements NetnsFinder {
  readonly #proc: string;
  readonly #hostInode: string;
  #entries: readonly ProcessEntry[] = [];
  #scannedAtMs = Number.NEGATIVE_INFINITY;

  /** @param proc the node's /proc, where this process sees it */
  constructor(proc: string, hostInode: string) {
    this.#proc = proc;
    this.#hostInode = hostInode;
  }

  find(query: NetnsQuery): PodNetns {
    const found = this.#search(query) ?? (this.#rescan() ? this.#search(query) : undefined);
    if (found !== undefined) return found;
    throw this.#notFound(query);
  }

  /** One path for each namespace that processes of pods are in. */
  paths(): string[] {
    this.#rescan();
    return [...new Map(this.#entries.map((entry) => [entry.inode, entry.path])).values()];
  }

  /**
   * A pod's processes may be in several namespaces, when one of them has made its own: the pod's is that of the oldest
   * process, and it must hold one of the pod's addresses.
   */
  #search(query: NetnsQuery): PodNetns | undefined {
    const ofPod = this.#entries
      .filter((entry) => belongsTo(entry, query) && entry.inode !== query.notInode)
      .sort((one, other) => one.startedAt - other.startedAt);
    const oldestOfEach = ofPod.filter(
      (entry, index) => ofPod.findIndex((other) => other.inode === entry.inode) === index,
    );
    for (const entry of oldestOfEach) {
      const namespace = openNamespace(entry.path);
      if (namespace === undefined) continue;
      const isIt =
        namespace.inode === entry.inode && addressesIn(namespace).some((ip) => query.ips.includes(ip));
      if (isIt) return { namespace, path: entry.path, localPath: entry.path };
      namespace.close();
    }
    return undefined;
  }

  #rescan(): boolean {
    if (performance.now() - this.#scannedAtMs < RESCAN_INTERVAL_MS) return false;
    const pids = readdirSync(this.#proc).filter((name) => /^\d+$/.test(name));
    this.#entries = pids.map((pid) => this.#readEntry(pid)).filter((entry) => entry !== undefined);
    this.#scannedAtMs = performance.now();
    return true;
  }

  /** Undefined for a process of the node itself, for one of no pod, and for one that has ended meanwhile. */
  #readEntry(pid: string): ProcessEntry | undefined {
    const path = join(this.#proc, pid, 'ns/net');
    try {
      const { dev, ino } = statSync(path, { bigint: true });
      const inode = `${dev}:${ino}`;
      if (inode === this.#hostInode) return undefined;
      const cgroup = parsePodCgroup(readFileSync(join(this.#proc, pid, 'cgroup'), 'utf8'));
      if (cgroup.podUid === undefined && cgroup.containerId === undefined) return undefined;
      const stat = readFileSync(join(this.#proc, pid, 'stat'), 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return { ...cgroup, path, inode, startedAt: Number(fields[START_TIME_FIELD]) };
    } catch {
      return undefined;
    }
  }

  #notFound(query: NetnsQuery): AmbitError {
    return cniErrors.AMBIT_CNI_NETNS_NOT_FOUND(
      `no process in ${this.#proc} is of pod ${query.pod} and in a namespace that holds ${query.ips.join(' or ') || 'an address'}`,
    );
  }
}

/** Some runtimes name only the container in the path of its cgroup. */
function belongsTo(entry: ProcessEntry, query: NetnsQuery): boolean {
  if (entry.podUid !== undefined) return query.uids.includes(entry.podUid);
  return entry.containerId !== undefined && query.containerIds.includes(entry.containerId);
}
