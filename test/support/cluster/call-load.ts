/** A steady load of calls from a pod, by a client that never tries again and counts every call that fails. */

import { join } from 'node:path';
import { until } from '../sandbox-commands.ts';
import { endCommand, type RunningCommand, startCommand } from './command.ts';

const PROGRAM = join(import.meta.dirname, 'call-load-main.ts');

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
/** Of Node, on a machine with much else to do. */
const START_TIMEOUT_MS = 60_000;

export class CallLoad {
  readonly #child: RunningCommand;
  #output = '';
  #errors = '';

  /** Resolves when calls are being made. */
  static async start({ enter, target, perSecond }: LoadPlan): Promise<CallLoad> {
    const interval = Math.round((1000 * LANES) / perSecond);
    const numbers = [interval, LANES, CALL_TIMEOUT_MS].map(String);
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
    const load = new CallLoad(startCommand([...enter, ...node, target, ...numbers]));
    await until('the client calls', async () => load.#errors.includes('calling'), START_TIMEOUT_MS);
    return load;
  }

  private constructor(child: RunningCommand) {
    this.#child = child;
    child.stdout.on('data', (text: string) => {
      this.#output += text;
    });
    child.stderr.on('data', (text: string) => {
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
  const load = await CallLoad.start(plan);
  try {
    await action();
  } catch (thrown) {
    await load.stop().catch(() => {});
    throw thrown;
  }
  return load.stop();
}
