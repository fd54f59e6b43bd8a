/** What every path through tunnels has to carry, whoever the proxies on it are by. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from './eventually.ts';
import { Load } from './load.ts';
import type { Ending, LoadBatch } from './load-generator.ts';
import type { MeshNode } from './mesh-node.ts';
import type { LivePod } from './mesh-pods.ts';

const MB = 1_000_000;
const DEADLINE_MS = 60_000;
/** Where the applications of {@link serveApplication} listen. */
export const APPLICATION_PORT = 8080;

/** A way from a client to an application. */
export interface TunnelPath {
  readonly from: LivePod;
  /** What the client connects to. */
  readonly host: string;
  readonly port: number;
  /** The application that is reached. */
  readonly application: () => Load;
  /** Our proxies on the way. */
  readonly nodes: () => readonly MeshNode[];
  /** The other proxy takes the end of the application for the end of both directions. */
  readonly applicationEndsBoth?: boolean;
}

export function serveApplication(pod: LivePod): Promise<Load> {
  return Load.serve(pod, APPLICATION_PORT);
}

/** Defines the tests of bytes and orderly ends; `what` begins their names. */
export function testTunnels(what: string, path: TunnelPath): void {
  const orders = ordersOf(path);
  const batches = (count: number, megabytes: number) =>
    orders.map((ending) => batch(count / orders.length, megabytes, ending));

  test(`${what}: 100 MB each way are carried, whichever side ends first`, () =>
    carry(path, batches(orders.length, 100), 'complete'));

  test(`${what}: a hundred tunnels at once are carried`, () => carry(path, batches(100, 2), 'complete'));

  testResets(what, path);

  test(`${what}: when the client is killed, the application learns of it`, async () => {
    const load = await connect(path, [batch(5, 500, 'killed')]);
    path.application().outcomes.length = 0;
    load.go();
    load.kill();
    await path.application().whenDone(5, DEADLINE_MS);
    for (const { end } of path.application().outcomes) assert.match(end, /^(reset|cut short)$/);
    await nothingLeft(path);
  });
}

export function testResets(what: string, path: TunnelPath): void {
  // More bytes than pass before the reset.
  test(`${what}: a reset by either side is a reset for the other`, () =>
    carry(path, [batch(5, 500, 'client-resets'), batch(5, 500, 'server-resets')], 'reset'));
}

/** The application ends first, the other proxy ends both directions: the client must not take it for an orderly end. */
export async function cutByApplicationEnd(path: TunnelPath): Promise<void> {
  const load = await connect(path, [batch(5, 50, 'server-first')]);
  path.application().outcomes.length = 0;
  load.go();
  await load.whenDone(5, DEADLINE_MS);
  load.kill();
  assert.deepEqual(load.summary(), { 'server-first: reset': 5 });
  await nothingLeft(path);
}

function ordersOf({ applicationEndsBoth = false }: TunnelPath): readonly Ending[] {
  return applicationEndsBoth ? ['client-first'] : ['client-first', 'server-first'];
}

function few(path: TunnelPath): readonly LoadBatch[] {
  return ordersOf(path).map((ending) => batch(1, 10, ending));
}

/** Tunnels that stand while something happens, then carry their bytes and end in order. */
export async function carryAcross(path: TunnelPath, happens: () => Promise<unknown>): Promise<void> {
  const load = await connect(path, few(path));
  try {
    await happens();
  } catch (thrown) {
    load.kill();
    throw thrown;
  }
  await finish(path, load, few(path), 'complete');
  await nothingLeft(path);
}

/** Tunnels that are opened, carry their bytes and end, while others may be open. */
export async function carryFew(path: TunnelPath): Promise<void> {
  await finish(path, await connect(path, few(path)), few(path), 'complete');
}

function batch(count: number, megabytes: number, ending: Ending): LoadBatch {
  return { count, bytes: megabytes * MB, ending };
}

function connect({ from, host, port }: TunnelPath, batches: readonly LoadBatch[]): Promise<Load> {
  return Load.connect(from, { host, port, batches });
}

async function carry(path: TunnelPath, batches: readonly LoadBatch[], end: string): Promise<void> {
  await finish(path, await connect(path, batches), batches, end);
  await nothingLeft(path);
}

async function finish(path: TunnelPath, load: Load, batches: readonly LoadBatch[], end: string) {
  const expected = Object.fromEntries(batches.map(({ ending, count }) => [`${ending}: ${end}`, count]));
  const count = batches.reduce((total, one) => total + one.count, 0);
  path.application().outcomes.length = 0;
  try {
    load.go();
    await load.whenDone(count, DEADLINE_MS);
    await path.application().whenDone(count, DEADLINE_MS);
    const sides = { client: load.summary(), application: path.application().summary() };
    assert.deepEqual(sides, { client: expected, application: expected });
  } finally {
    load.kill();
  }
}

async function nothingLeft({ nodes }: TunnelPath): Promise<void> {
  const sum = (metric: string) => nodes().reduce((total, node) => total + node.total(metric, {}), 0);
  await eventually(
    'every connection to be closed',
    () => sum('istio_tcp_connections_opened_total') === sum('istio_tcp_connections_closed_total'),
  );
  const held = (kind: string) =>
    nodes().reduce((total, node) => total + node.total('ambit_resources_held', { kind }), 0);
  await eventually(
    'streams and buffers to be given back',
    () => held('http2_streams') + held('buffers') === 0,
  );
}
