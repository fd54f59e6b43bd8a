/** What there is in a sandbox besides connections: processes, rules, listeners, files, descriptors. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Environment } from '../../src/sandbox/client/environment.ts';
import { namespaceOf, pidsInNamespaceOf } from '../../src/sandbox/host/process-table.ts';
import { descriptorCount } from '../support/descriptor-count.ts';
import type { ChaosWorld } from './chaos-world.ts';

/** Everything that rules and routes of a namespace are made of, and who listens there. */
const NETWORK_SCRIPT = `
iptables-save; ip6tables-save; ipset save 2>/dev/null
ip rule; ip -6 rule; ip route show table all; ip -6 route show table all
ss -Hlntup | tr -s ' ' | sed 's/users:.*//' | sort
`;
/**
 * Counters, and comments that hold the time; the age of routes that the kernel has learnt; the anycast address that it gives
 * a cable at the bridge by itself, or does not, when it is plugged in.
 */
const CHANGING = /\[\d+:\d+\]|^#.*$|expires \S+sec| packets \d+ bytes \d+|^anycast fe80:: dev node\d .*$/gm;
/** Descriptors that a pool of connections, or a request that is under way, may make up. */
const DESCRIPTOR_SLACK = 16;
/** Of files that are written and renamed while one looks, and of what Node keeps of compiled programs. */
const PASSING_FILES = /compile-cache|\.next$|\.tmp$|~$|ballast/;

export interface Inventory {
  /** Name of a node or pod → its rules, routes and listeners, line by line. */
  readonly networks: Readonly<Record<string, readonly string[]>>;
  readonly networkNamespaces: number;
  /** Name of a program → how many run. */
  readonly processes: Readonly<Record<string, number>>;
  readonly files: readonly string[];
  /** Process of the mesh → open descriptors. */
  readonly descriptors: Readonly<Record<string, number>>;
}

export async function takeInventory(world: ChaosWorld): Promise<Inventory> {
  const environment = await world.facts();
  const pids = [...pidsInNamespaceOf(environment.daemon.pid).values()];
  const programs = pids.map(programOf).filter((name) => !PASSING_PROGRAMS.test(name));
  const spaces = new Set(pids.map((pid) => namespaceOf(pid, 'net')));
  return {
    networks: networksOf(world, environment),
    networkNamespaces: spaces.size,
    processes: countEach(programs),
    files: filesBelow(environment.state),
    descriptors: descriptorsOf(environment),
  };
}

/** Started to look and gone at once, or the load's own. */
const PASSING_PROGRAMS =
  /^(iptables|ip6tables|ipset|ip|ss|nsenter|sh|gone)\b|(traffic|pod-caller)-main\.ts|packets/;

/** What differs, in words; an empty list when nothing has been left behind and nothing is missing. */
export function differences(before: Inventory, now: Inventory): readonly string[] {
  const networks = Object.keys(before.networks).flatMap((name) =>
    linesThatDiffer(name, before.networks[name]!, now.networks[name] ?? []),
  );
  return [
    ...networks,
    ...countsThatDiffer('processes', before.processes, now.processes),
    ...countsThatDiffer(
      'in all',
      { namespaces: before.networkNamespaces },
      { namespaces: now.networkNamespaces },
    ),
    ...linesThatDiffer('files', before.files, now.files),
    ...tooManyDescriptors(before.descriptors, now.descriptors),
  ];
}

function linesThatDiffer(what: string, before: readonly string[], now: readonly string[]): readonly string[] {
  const [had, has] = [countEach(before), countEach(now)];
  return [...new Set([...before, ...now])]
    .filter((line) => had[line] !== has[line])
    .map((line) => `${what}: ${had[line] ?? 0} → ${has[line] ?? 0} × ${line}`);
}

type Counts = Readonly<Record<string, number>>;

function countsThatDiffer(what: string, before: Counts, now: Counts): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((name) => before[name] !== now[name])
    .map((name) => `${what}: ${name} ${before[name] ?? 0} → ${now[name] ?? 0}`);
}

function tooManyDescriptors(before: Counts, now: Counts): readonly string[] {
  return Object.keys(before)
    .filter((name) => (now[name] ?? 0) > before[name]! + DESCRIPTOR_SLACK)
    .map((name) => `descriptors: ${name} ${before[name]} → ${now[name]}`);
}

function countEach(names: readonly string[]): Counts {
  const groups = Object.groupBy(names, (name) => name);
  return Object.fromEntries(Object.entries(groups).map(([name, all]) => [name, all!.length]));
}

function networksOf(world: ChaosWorld, { nodes, pods, daemon }: Environment): Inventory['networks'] {
  const inOwn = pods.filter(({ enter, namespace }) => enter !== undefined && namespace !== 'ambit-system');
  const places = [{ name: 'bridge', enter: daemon.enter }, ...nodes, ...inOwn];
  const entries = places.map(({ name, enter }) => {
    const text = world.run(enter!, ['sh', '-c', NETWORK_SCRIPT]).replaceAll(CHANGING, '');
    return [
      name,
      text
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    ] as const;
  });
  return Object.fromEntries(entries);
}

/** The first words of its command line; a process that has ended and that nobody has asked for is told as such. */
function programOf(pid: number): string {
  try {
    if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return 'zombie';
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const [first, ...rest] = words.filter((word) => !word.startsWith('--'));
    return [first, ...rest.slice(0, 2)].map((word) => word?.slice(word.lastIndexOf('/') + 1)).join(' ');
  } catch {
    return 'gone';
  }
}

function filesBelow(state: string): readonly string[] {
  return readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(state, join(entry.parentPath, entry.name)))
    .filter((path) => !PASSING_FILES.test(path))
    .sort();
}

function descriptorsOf({ nodes, controlPlane }: Environment): Counts {
  const facts = [
    ['control plane', controlPlane?.process?.pid],
    ...nodes.flatMap(({ name, ztunnel, cni }) => [
      [`ztunnel of ${name}`, ztunnel?.pid],
      [`cni of ${name}`, cni?.pid],
    ]),
  ] as const;
  const known = facts.flatMap(([name, pid]) =>
    pid === undefined ? [] : [[name, descriptorCount(pid as number)]],
  );
  return Object.fromEntries(known);
}
