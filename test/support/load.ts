/** Starts load generators inside pods and collects what they report. */

import { createInterface } from 'node:readline';
import { eventually } from './eventually.ts';
import type { ConnectionOutcome, LoadPlan, LoadReport } from './load-generator.ts';
import { type LivePod, type PodProcess, runInPod } from './mesh-pods.ts';

const GENERATOR = `${import.meta.dirname}/load-generator.ts`;
/** Opening a thousand connections on a busy machine. */
const OPEN_DEADLINE_MS = 60_000;

/** One generator process. */
export class Load {
  readonly outcomes: ConnectionOutcome[] = [];
  readonly #child: PodProcess;
  #open = false;

  private constructor(child: PodProcess) {
    this.#child = child;
    createInterface(child.stdout).on('line', (line) => this.#onReport(JSON.parse(line)));
    child.stdin.on('error', () => {});
  }

  /** Resolves when it listens. */
  static async serve(pod: LivePod, port: number): Promise<Load> {
    const load = new Load(runInPod(pod, GENERATOR, 'serve', String(port)));
    await load.#whenOpen();
    return load;
  }

  /** Resolves when every connection of the plan stands; {@link go} lets the bytes flow. */
  static async connect(pod: LivePod, plan: LoadPlan): Promise<Load> {
    const load = new Load(runInPod(pod, GENERATOR, 'run', JSON.stringify(plan)));
    await load.#whenOpen();
    return load;
  }

  go(): void {
    this.#child.stdin.write('go\n');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Outcomes counted by how the connections ended, such as `client-first: complete`. */
  summary(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { ending, end } of this.outcomes) {
      counts[`${ending}: ${end}`] = (counts[`${ending}: ${end}`] ?? 0) + 1;
    }
    return counts;
  }

  async whenDone(count: number, deadlineMs: number): Promise<void> {
    await eventually(
      `${count} connections to be over`,
      () => this.outcomes.length >= count,
      deadlineMs,
    ).catch((thrown: Error) => {
      throw new Error(`${thrown.message}: ${this.outcomes.length} are, ${JSON.stringify(this.summary())}`);
    });
  }

  #whenOpen(): Promise<boolean> {
    return eventually('every connection to stand', () => this.#open || this.#failure(), OPEN_DEADLINE_MS);
  }

  #failure(): false {
    const failed = this.outcomes[0];
    if (failed !== undefined) throw new Error(`connection ${failed.id}: ${failed.detail}`);
    return false;
  }

  #onReport(report: LoadReport): void {
    if (report.kind === 'open') this.#open = true;
    else this.outcomes.push(report);
  }
}
