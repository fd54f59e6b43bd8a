/** A bad line in the place of a node's cable to the bridge. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Environment } from '../../src/sandbox/client/environment.ts';
import { startFileInside } from '../support/program-inside.ts';
import type { NodeName } from '../support/two-pods.ts';
import type { WireReport } from './unruly-wire-main.ts';

const MAIN = join(import.meta.dirname, 'unruly-wire-main.ts');
/** The end of the line at the bridge, and the one that the line is read and written at. */
const [PLUG, END] = ['wire0', 'wire1'] as const;
/** A bridge that nobody has given an address takes the lowest of its cables', and neighbours would look for the old one. */
const LAY = `set -e
ip link set br0 address "$(ip -o link show br0 | sed 's/.*ether \\([^ ]*\\) .*/\\1/')"
ip link add ${PLUG} type veth peer name ${END}
for end in ${PLUG} ${END}; do ip link set $end addrgenmode none arp off up; done`;
const replug = (node: NodeName) => `ip link set ${node} nomaster arp off && ip link set ${PLUG} master br0`;
const repair = (node: NodeName) => `ip link del ${PLUG}; ip link set ${node} master br0 arp on`;

/** Tells what the line did to frames while the action was under way. */
export async function whileUnruly(
  { daemon }: Environment,
  node: NodeName,
  action: () => Promise<void>,
): Promise<WireReport> {
  inside(daemon.enter, LAY);
  const line = startFileInside(daemon.enter, [MAIN, node, END]);
  try {
    await once(line.stdout, 'readable');
    inside(daemon.enter, replug(node));
    await action();
    inside(daemon.enter, repair(node));
    line.stdin.end();
    return JSON.parse(await text(line.stdout)) as WireReport;
  } finally {
    line.kill('SIGKILL');
  }
}

function inside(enter: readonly string[], script: string): void {
  const [program, ...args] = [...enter, 'sh', '-c', script];
  const { status, stderr } = spawnSync(program!, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
}
