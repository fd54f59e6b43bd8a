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
/** What is broken on purpose, and the invariants that tell. */
const SABOTAGES: Readonly<Record<string, readonly string[]>> = {
  'sabotage: no redirection in the pod of node1': ['encrypted', 'no bypass'],
  'sabotage: a proxy killed where nothing may be cut': ['nothing cut'],
  'sabotage: a connection and a chain left behind': ['counters agree', 'nothing left'],
  'sabotage: an application that answers nobody new': ['recovers'],
};

test('faults under load leave every invariant as it was, and a mesh that is broken on purpose is found out', async (t) => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const names = `^(${[...FAULTS, ...Object.keys(SABOTAGES)].join('|')})$`;
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
  for (const [name, invariants] of Object.entries(SABOTAGES)) {
    const told = Object.keys(broken.get(name)!).filter((one) => invariants.includes(one));
    assert.deepEqual(told, invariants, `${name}\n${stderr}`);
  }
  for (const name of FAULTS) assert.deepEqual(broken.get(name), {}, `${name}\n${stderr}`);
  t.diagnostic(stderr);
});
