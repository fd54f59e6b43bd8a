/** The priority of whatever is on the attacker's side: what it costs the machine is not what is measured. */

import { execFileSync } from 'node:child_process';

/**
 * The process runs when nobody else wants to (sched(7), SCHED_IDLE), and so do children that it starts later. A nice
 * one would keep others waiting for a time slice, which is as long as what is measured.
 */
export function standBack(pid: number): void {
  execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(pid)]);
}
