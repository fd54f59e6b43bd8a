/** Who of a drill runs before whom, since all of them share the cores of one machine. */

import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Above 0, the rank of all other programs. */
export type Rank = 1 | 2 | 3;

/**
 * The process runs when nobody else wants to (sched(7), SCHED_IDLE), and so do children that it starts later. A nice
 * one would keep others waiting for a time slice, which is as long as what is measured.
 */
export function standBack(pid: number): void {
  execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(pid)]);
}

/**
 * The process runs as soon as it wants to, unless one of a higher rank does (SCHED_RR). False when that is not
 * permitted; it takes CAP_SYS_NICE.
 */
export function goFirst(pid: number, rank: Rank): boolean {
  return setRank(rank, pid, '--all-tasks');
}

/**
 * The same for a node that is attacked. A reactor that waits for a helper of V8 leaves its core to it, and one that works is
 * not kept from it by V8's compilers.
 */
export function goFirstAsNode(
  pid: number,
  { reactors, others }: Readonly<Record<'reactors' | 'others', Rank>>,
): boolean {
  return goFirst(pid, others) && reactorsOf(pid).every((thread) => setRank(reactors, thread));
}

function setRank(rank: Rank, id: number, ...options: string[]): boolean {
  return spawnSync('chrt', [...options, '--rr', '--pid', String(rank), String(id)]).status === 0;
}

function reactorsOf(pid: number): number[] {
  const folder = `/proc/${pid}/task`;
  const threads = readdirSync(folder).map(Number);
  return threads.filter((id) => readFileSync(`${folder}/${id}/comm`, 'latin1').startsWith('reactor-'));
}
