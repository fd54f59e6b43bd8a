/** A few of the faults of `make chaos` under load, each followed by a check of every invariant. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { FaultRow } from '../chaos/report.ts';
import { DEADLINE_MS } from '../support/sandbox-commands.ts';

const CHAOS = join(import.meta.dirname, '..', 'chaos', 'chaos.ts');
const FAULTS = [
  'kill -9 ztunnel and cni of node1',
  'kill -9 control plane and CA',
  'disk full, kill -9 ztunnel of node1',
  'power cut of node2',
];
const SABOTAGE = 'sabotage: no redirection in the pod of node1';

test('faults under load leave every invariant as it was, and a mesh that is broken on purpose is found out', async (t) => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const names = `^(${[...FAULTS, SABOTAGE].join('|')})$`;
  const node = ['--disable-warning=ExperimentalWarning', CHAOS, '-o', 'json'];
  const child = spawn(process.execPath, node, {
    env: { ...env, CHAOS_SECONDS: '0', SEED: '5', CHAOS_FAULTS: names },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: DEADLINE_MS,
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  assert.equal(code, 1, stderr);
  const { rows, leftAtTheEnd } = JSON.parse(stdout) as { rows: FaultRow[]; leftAtTheEnd: string[] };
  assert.deepEqual(leftAtTheEnd, []);
  const broken = new Map(rows.map(({ fault, violations }) => [fault, violations]));
  assert.deepEqual(Object.keys(broken.get(SABOTAGE)!), ['encrypted', 'no bypass'], stderr);
  for (const name of FAULTS) assert.deepEqual(broken.get(name), {}, `${name}\n${stderr}`);
  t.diagnostic(stderr);
});
