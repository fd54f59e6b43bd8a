/** A steady load of calls from a pod, by a client that never tries again and counts every call that fails. */

import { join } from 'node:path';
import { endCommand, type RunningCommand, startCommand } from './command.ts';

const MAIN = join(import.meta.dirname, '..', '..', '..', 'src', 'main.ts');

export interface LoadPlan {
  /** To be put before the client, see `Cluster.enterPod`. */
  readonly enter: readonly string[];
  /** http://… or tcp://…, a new connection for each call. */
  readonly target: string;
  readonly perSecond: number;
}

/** What became of the calls. */
export interface LoadResult {
  readonly calls: number;
  readonly ok: number;
  readonly failed: number;
  readonly responders: Readonly<Record<string, number>>;
  /** How many failed for which reason. */
  readonly errors: Readonly<Record<string, number>>;
  readonly latencyMs: Readonly<Record<'min' | 'p50' | 'p90' | 'p99' | 'max', number>>;
}

/** Calls under way at once; each lane makes its share of the calls. */
const LANES = 20;
const CALL_TIMEOUT_MS = 10_000;

export class CallLoad {
  readonly #child: RunningCommand;
  #output = '';
  #errors = '';

  constructor({ enter, target, perSecond }: LoadPlan) {
    const interval = Math.round((1000 * LANES) / perSecond);
    const client = ['echo', 'client', target, '--count', '0', '--json', '--interval', String(interval)];
    const limits = ['--connections', String(LANES), '--timeout', String(CALL_TIMEOUT_MS)];
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
    this.#child = startCommand([...enter, ...node, ...client, ...limits]);
    this.#child.stdout.on('data', (text: string) => {
      this.#output += text;
    });
    this.#child.stderr.on('data', (text: string) => {
      this.#errors += text;
    });
  }

  /** Ends after the calls under way. */
  async stop(): Promise<LoadResult> {
    await endCommand(this.#child, 'SIGINT');
    if (this.#output === '') throw new Error(`the client told nothing: ${this.#errors}`);
    return JSON.parse(this.#output) as LoadResult;
  }
}

/** Calls all the while that something happens. */
export async function loadWhile(plan: LoadPlan, action: () => Promise<unknown>): Promise<LoadResult> {
  const load = new CallLoad(plan);
  try {
    await action();
  } catch (thrown) {
    await load.stop().catch(() => {});
    throw thrown;
  }
  return load.stop();
}
