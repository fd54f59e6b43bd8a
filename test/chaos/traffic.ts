/** The test's end of the traffic of one pod: what became of its connections, and what is open. */

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ProgramInside, startFileInside } from '../support/program-inside.ts';
import { until } from '../support/sandbox-commands.ts';
import type {
  EndedConnection,
  OpenStreams,
  TrafficOrder,
  TrafficPlan,
  TrafficReport,
} from './traffic-main.ts';

const PROGRAM = join(import.meta.dirname, 'traffic-main.ts');
/** Streams that were cut are replaced, and retransmissions that have slowed down come, long before. */
const PROGRESS_MS = 30_000;
const ANSWER_MS = 20_000;
/** Short connections that must succeed one after another before all is well again. */
const CALLS_IN_A_ROW = 10;

export class Traffic {
  /** Of the pod that calls. */
  readonly node: string;
  /** In the order in which they ended. */
  readonly ended: EndedConnection[] = [];
  readonly #plan: TrafficPlan;
  readonly #patienceMs: number;
  readonly #child: ProgramInside;
  #open: OpenStreams | undefined;
  #end: string | undefined;

  /**
   * @param enter put before the command, it runs in the pod that calls
   * @param patienceMs after which streams that do not get on, and calls that fail, are told
   */
  constructor(node: string, enter: readonly string[], plan: TrafficPlan, patienceMs: number = PROGRESS_MS) {
    this.node = node;
    this.#plan = plan;
    this.#patienceMs = patienceMs;
    this.#child = startFileInside(enter, [PROGRAM, JSON.stringify(plan)]);
    this.#child.once('exit', (code, signal) => {
      this.#end = `the traffic on ${node} ended with ${signal ?? code}`;
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onReport(JSON.parse(line)));
  }

  get streams(): number {
    return this.#plan.streams;
  }

  order(order: TrafficOrder): void {
    this.#child.stdin.write(`${order}\n`);
  }

  stop(): void {
    this.#child.stdin.end();
  }

  /** No short connection is under way or begins until `go`. */
  async hold(): Promise<void> {
    this.order('hold');
    await until('every call has ended', async () => (await this.#report()).calls === 0);
  }

  /** Waits until calls that began after this time (milliseconds since 1970) succeed one after another. */
  async recovered(sinceMs: number, patienceMs = 2 * this.#patienceMs): Promise<void> {
    await until(
      `calls from ${this.node} succeed again`,
      async () => {
        const calls = this.ended.filter(({ what, startMs }) => what === 'call' && startMs >= sinceMs);
        const last = calls.slice(-CALLS_IN_A_ROW);
        return last.length === CALLS_IN_A_ROW && last.every(({ how }) => how === 'complete');
      },
      patienceMs,
    );
  }

  /** Waits until every stream stands and gets bytes back. */
  async progressed(): Promise<void> {
    const before = (await this.#report()).streams;
    await until(
      `every stream from ${this.node} gets on`,
      async () => {
        const now = Object.entries((await this.#report()).streams);
        return now.length === this.streams && now.every(([id, got]) => got > (before[Number(id)] ?? 0));
      },
      this.#patienceMs,
    );
  }

  /** Ends every stream in order and waits for it. */
  async finish(): Promise<void> {
    this.order('finish');
    const none = async () => Object.keys((await this.#report()).streams).length === 0;
    await until(`every stream from ${this.node} has ended`, none, ANSWER_MS);
  }

  async #report(): Promise<OpenStreams> {
    this.#open = undefined;
    this.order('report');
    const answer = async () => {
      if (this.#end !== undefined) throw new Error(this.#end);
      return this.#open;
    };
    return until(`the traffic on ${this.node} answers`, answer, ANSWER_MS);
  }

  #onReport(report: TrafficReport): void {
    if (report.kind === 'open') this.#open = report;
    else this.ended.push(report);
  }
}
