/**
 * `make chaos`: faults under load, and what held. CHAOS_SECONDS, SEED and CHAOS_FAULTS (regular expression of names) in the
 * environment; `-o json` for programs. Exit code 1 when anything was violated.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULTS, SABOTAGES } from './faults.ts';
import { holds, rowsOf, tableOf } from './report.ts';
import { runChaos } from './run-chaos.ts';

const DEFAULT_SECONDS = 240;
const INSIDE = 'AMBIT_CHAOS_INSIDE';
/** State, logs and compiled programs of a sandbox need a third of it. */
const DISK_BYTES = 96 * 1024 * 1024;
/** Whatever libfaketime shares between processes stays in /dev/shm when they are killed. */
const SCRIPT = `mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$TMPDIR" && exec "$@"`;

/** Mount namespace of one's own with a small disk, which can be filled and which nobody else sees. */
function runInside(): number {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-chaos-'));
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user', '--net'];
  const node = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const command = [...user, '--mount', '/bin/sh', '-c', SCRIPT, 'sh', ...node];
  try {
    const env = { ...process.env, [INSIDE]: '1', TMPDIR: folder };
    return spawnSync('unshare', command, { stdio: 'inherit', env }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function numberOf(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} is not a number: ${process.env[name]}`);
  return value;
}

async function runHere(output: string | undefined): Promise<number> {
  const seed = numberOf('SEED', Math.floor(Math.random() * 1e6));
  const { CHAOS_FAULTS } = process.env;
  const wanted = CHAOS_FAULTS === undefined ? undefined : new RegExp(CHAOS_FAULTS);
  const faults =
    wanted === undefined ? FAULTS : [...FAULTS, ...SABOTAGES].filter(({ name }) => wanted.test(name));
  const plan = { faults, seconds: numberOf('CHAOS_SECONDS', DEFAULT_SECONDS), seed };
  const begun = performance.now();
  const result = await runChaos(plan, (line) => {
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    process.stderr.write(`${seconds.padStart(6)} s  ${line}\n`);
  });
  const rows = rowsOf(faults, result);
  const { calls, streamsEnded, leftAtTheEnd } = result;
  if (output === 'json')
    process.stdout.write(`${JSON.stringify({ seed, calls, streamsEnded, leftAtTheEnd, rows })}\n`);
  else
    process.stdout.write(
      `${tableOf(rows)}\n${[`seed ${seed}, ${calls} calls`, ...leftAtTheEnd].join('\n')}\n`,
    );
  return holds(rows, result) ? 0 : 1;
}

const { values } = parseArgs({ options: { output: { type: 'string', short: 'o' } } });
process.exitCode = process.env[INSIDE] === undefined ? runInside() : await runHere(values.output);
