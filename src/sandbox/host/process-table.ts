/** Finds processes in /proc: across process namespaces, by their namespaces, and safely in spite of reused numbers. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** When a process started, in clock ticks since boot: with its number, it is who it is. Undefined when it is gone. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may itself hold spaces and parentheses; the start time is field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Identifies one namespace of a process, for instance `net:[4026531840]`; undefined when it may not be seen. */
export function namespaceOf(pid: number | 'self', kind: 'net' | 'mnt' | 'pid' | 'user'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

/** The numbers of a process in all process namespaces it is in, outermost first. */
function nestedPids(pid: number): readonly number[] {
  try {
    const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return (line?.[1] ?? '').split(/\s+/).map(Number);
  } catch {
    return [];
  }
}

export function listPids(): readonly number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** The processes that run directly in the same process namespace as `member`: their number inside → as seen from here. */
export function pidsInNamespaceOf(member: number | 'self'): ReadonlyMap<number, number> {
  const namespace = namespaceOf(member, 'pid');
  const found = new Map<number, number>();
  for (const pid of listPids()) {
    if (namespace === undefined || namespaceOf(pid, 'pid') !== namespace) continue;
    const inner = nestedPids(pid).at(-1);
    if (inner !== undefined) found.set(inner, pid);
  }
  return found;
}

/** Sends a signal to a process, or to a group given by its negative number; one that has ended gets none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
  }
}

let mountNamespaces:
  | { readonly takenMs: number; readonly pids: ReadonlyMap<string, readonly number[]> }
  | undefined;
/** A thousand pods that end together look at the table of processes once, not a thousand times. */
const MOUNT_TABLE_MS = 50;

/**
 * The processes in the mount namespace of a child of this one, by the numbers that signals go to; what started within
 * the last moments may be missing.
 */
export function pidsSharingMounts(child: number): readonly number[] {
  const nowMs = performance.now();
  if (mountNamespaces === undefined || nowMs - mountNamespaces.takenMs > MOUNT_TABLE_MS) {
    const byNamespace = Map.groupBy(listPids(), (pid) => namespaceOf(pid, 'mnt') ?? '');
    mountNamespaces = { takenMs: nowMs, pids: byNamespace };
  }
  const namespace = namespaceOf(procPid(child), 'mnt');
  const found = namespace === undefined ? [] : (mountNamespaces.pids.get(namespace) ?? []);
  return procIsOwn() ? found : found.flatMap((pid) => nestedPids(pid).at(-1) ?? []);
}

/** The children of a process that nsenter and unshare fork. */
export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').flatMap(toPid);
  } catch {
    return [];
  }
}

function toPid(text: string): number[] {
  return text === '' ? [] : [Number(text)];
}

/**
 * The number by which /proc knows a child of this process. It differs from the child's own where /proc could not be
 * mounted anew for the sandbox (a container that hides parts of it) and still shows the machine's numbers.
 */
export function procPid(pid: number): number {
  if (procIsOwn()) return pid;
  return pidsInNamespaceOf('self').get(pid) ?? pid;
}

function procIsOwn(): boolean {
  return readlinkSync('/proc/self') === String(process.pid);
}
