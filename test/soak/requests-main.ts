/** Runs inside a pod: HTTP requests over connections that are kept, and DNS questions, at a steady pace; tells how long they take. */

import { Agent, get } from 'node:http';
import { createInterface } from 'node:readline';
import { percentileOf } from '../bench/percentile.ts';
import { askNameserver, firstNameserver } from '../support/dns-lookup.ts';

export interface RequestPlan {
  readonly url: string;
  readonly connections: number;
  /** Between two requests on one connection. */
  readonly requestIntervalMs: number;
  /** Of a service. */
  readonly name: string;
  readonly lookupIntervalMs: number;
}

/** What happened since the last answer. */
export interface RequestSample {
  readonly requests: Latency;
  readonly lookups: Latency;
  /** In words, the first of them. */
  readonly failures: readonly string[];
}

/** In milliseconds; both are 0 when there was nothing. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

const KEPT_FAILURES = 3;

class Pace {
  #latencies: number[] = [];
  readonly #failures: string[] = [];

  /** Counts how long it takes, or that it failed. */
  async measure(action: () => Promise<void>): Promise<void> {
    const begun = performance.now();
    try {
      await action();
      this.#latencies.push(performance.now() - begun);
    } catch (thrown) {
      if (this.#failures.length < KEPT_FAILURES) this.#failures.push(String(thrown));
    }
  }

  takeFailures(): readonly string[] {
    return this.#failures.splice(0);
  }

  takeLatency(): Latency {
    const sorted = this.#latencies.sort((a, b) => a - b);
    this.#latencies = [];
    const at = (share: number) => percentileOf(sorted, share) ?? 0;
    return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
  }
}

function request(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = get(url, { agent }, (response) => {
      response.resume().once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    call.once('error', reject);
  });
}

/** At a steady pace from its own moment on, so that connections do not ask all at once. */
function every(intervalMs: number, offsetMs: number, action: () => Promise<void>): void {
  setTimeout(() => setInterval(() => void action(), intervalMs), offsetMs);
}

function run(plan: RequestPlan): void {
  const [requests, lookups] = [new Pace(), new Pace()];
  for (let i = 0; i < plan.connections; i++) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const offsetMs = (plan.requestIntervalMs * i) / plan.connections;
    every(plan.requestIntervalMs, offsetMs, () => requests.measure(() => request(plan.url, agent)));
  }
  const server = firstNameserver();
  every(plan.lookupIntervalMs, 0, () => lookups.measure(() => lookup(server, plan.name)));
  createInterface({ input: process.stdin })
    .on('line', () => {
      const failures = [...requests.takeFailures(), ...lookups.takeFailures()];
      const sample: RequestSample = {
        requests: requests.takeLatency(),
        lookups: lookups.takeLatency(),
        failures,
      };
      process.stdout.write(`${JSON.stringify(sample)}\n`);
    })
    .once('close', () => process.exit(0));
}

async function lookup(server: string, name: string): Promise<void> {
  const { records } = await askNameserver(server, { name, type: 'A', transport: 'udp' });
  if (records.length === 0) throw new Error(`${name} has no address`);
}

if (process.argv[1] === import.meta.filename) run(JSON.parse(process.argv[2]!) as RequestPlan);
