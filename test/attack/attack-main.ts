/** `make attack`: runs the drills one after the other, prints what each has come to, and fails if one was not withstood. */

import { parseArgs } from 'node:util';
import { allowCubic, CONGESTION_CONTROL } from '../bench/dataplane/network-tuning.ts';
import { runInOwnNamespaces } from '../support/own-namespaces.ts';
import { AttackWorld } from './attack-world.ts';
import { type Drill, type DrillResult, runDrill } from './drill.ts';
import { ALL_DRILLS, warmUp } from './drills.ts';
import { formatTable } from './report.ts';

const TIMES = { quietMs: 3000, attackMs: 5000 };
const NO_PRECEDENCE = `attack: no real-time priorities are permitted here (CAP_SYS_NICE), so that whatever is busy on this machine
makes the neighbour slow as well
`;
const USAGE = `Usage: attack-main.ts [-o table|json] [--only REGEX]
Attacks a node proxy in network namespaces of its own. Exit code 1 if a drill was not withstood.
`;

async function runAll(drills: readonly Drill[]): Promise<DrillResult[]> {
  using _allowed = allowCubic();
  const world = await AttackWorld.start(CONGESTION_CONTROL);
  if (!world.setPrecedence()) process.stderr.write(NO_PRECEDENCE);
  const results: DrillResult[] = [];
  try {
    await warmUp(world);
    for (const drill of drills) {
      process.stderr.write(`attack: ${drill.name} (${drill.about})\n`);
      results.push(await runDrill(world, drill, TIMES));
    }
  } finally {
    world.close();
  }
  return results;
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      output: { type: 'string', short: 'o', default: 'table' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const inside = runInOwnNamespaces(import.meta.filename, args);
  if (inside !== undefined) return inside;
  const results = await runAll(ALL_DRILLS.filter(({ name }) => new RegExp(values.only).test(name)));
  const text = values.output === 'json' ? JSON.stringify(results, null, 2) : formatTable(results);
  process.stdout.write(`${text}\n`);
  return results.every(({ faults, inTime }) => faults.length === 0 && inTime) ? 0 : 1;
}

process.exit(await main(process.argv.slice(2)));
