/** All drills, in the order in which they are run. */

import { ANSWER_DRILLS } from './answer-drills.ts';
import type { AttackWorld } from './attack-world.ts';
import { Deadline, type Drill } from './drill.ts';
import { HOARD_DRILLS } from './hoard-drills.ts';
import { HTTP2_DRILLS } from './http2-drills.ts';
import { POD_DRILLS } from './pod-drills.ts';
import { TLS_DRILLS } from './tls-drills.ts';
import { WINDOW_DRILLS } from './window-drills.ts';

const WARM_UP_MS = 3000;

export const ALL_DRILLS: readonly Drill[] = [
  ...HTTP2_DRILLS,
  ...WINDOW_DRILLS,
  ...TLS_DRILLS,
  ...HOARD_DRILLS,
  ...POD_DRILLS,
  ...ANSWER_DRILLS,
];

/** @throws when there is none of that name */
export function drillNamed(name: string): Drill {
  const found = ALL_DRILLS.find((drill) => drill.name === name);
  if (found === undefined) throw new Error(`there is no drill ${name}`);
  return found;
}

/** The floods that make the most of new connections come once before anything is measured: the heap finds its size. */
export async function warmUp(world: AttackWorld): Promise<void> {
  for (const name of ['rapid-reset', 'made-you-reset']) {
    await drillNamed(name).attack(world, new Deadline(WARM_UP_MS));
  }
}
