/** Runs inside a pod: opens connections and asks for names as fast as it can, and tells of each that failed. */

import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { askNameserver } from './dns-lookup.ts';

/** What to do, as the first argument; the storm goes on until the process is told to end. */
export interface StormPlan {
  readonly host: string;
  readonly port: number;
  /** Connections at a time. */
  readonly connections: number;
  /** Asked one after the other, by UDP and by TCP. */
  readonly name: string;
  readonly nameserver: string;
}

/** Written when it ends. */
export interface StormReport {
  readonly calls: number;
  readonly lookups: number;
  readonly seconds: number;
  /** `ECONNRESET at 1234 ms`. */
  readonly failures: readonly string[];
}

const MESSAGE = 'is anybody there';
const CALL_TIMEOUT_MS = 10_000;
/** Lookups are few beside the calls, so that they wait for nothing but their answer. */
const LOOKUP_PAUSE_MS = 2;

// What is under test has to get on beside the storm.
setPriority(10);
const plan = JSON.parse(process.argv[2]!) as StormPlan;
const failures: string[] = [];
const startedMs = performance.now();
let calls = 0;
let lookups = 0;
let isOver = false;

function failed(what: string): void {
  failures.push(`${what} at ${Math.round(performance.now() - startedMs)} ms`);
}

/** Good only if the whole message comes back and the end of the stream after it. */
function call(): Promise<void> {
  return new Promise((resolve) => {
    let received = '';
    let error: string | undefined;
    const socket = connect({ host: plan.host, port: plan.port, noDelay: true });
    socket.setTimeout(CALL_TIMEOUT_MS, () => socket.destroy(new Error('timeout')));
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
      if (received.length >= MESSAGE.length) socket.end();
    });
    socket.on('connect', () => socket.write(MESSAGE));
    socket.on('error', (thrown: NodeJS.ErrnoException) => {
      error = thrown.code ?? thrown.message;
    });
    socket.on('close', () => {
      calls++;
      if (error !== undefined || received !== MESSAGE) failed(error ?? `cut after ${received.length} bytes`);
      resolve();
    });
  });
}

async function lookUp(transport: 'udp' | 'tcp'): Promise<void> {
  try {
    const { records } = await askNameserver(plan.nameserver, { name: plan.name, type: 'A', transport });
    if (records.length === 0) failed(`no address by ${transport}`);
  } catch (thrown) {
    failed(`${transport}: ${(thrown as Error).message}`);
  }
  lookups++;
}

async function lookUpForever(transport: 'udp' | 'tcp'): Promise<void> {
  while (!isOver) {
    await lookUp(transport);
    await new Promise((resolve) => setTimeout(resolve, LOOKUP_PAUSE_MS));
  }
}

async function callForever(): Promise<void> {
  while (!isOver) await call();
}

process.once('SIGTERM', () => {
  isOver = true;
});
const loops = Array.from({ length: plan.connections }, callForever);
await Promise.all([...loops, lookUpForever('udp'), lookUpForever('tcp')]);
const seconds = (performance.now() - startedMs) / 1000;
const report: StormReport = { calls, lookups, seconds, failures };
process.stdout.write(JSON.stringify(report));
