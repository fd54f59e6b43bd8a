/** The test's end of the requests of one pod. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { until } from '../support/sandbox-commands.ts';
import type { RequestPlan, RequestSample } from './requests-main.ts';

const PROGRAM = join(import.meta.dirname, 'requests-main.ts');

export class Requests {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #answer: RequestSample | undefined;

  /** @param enter put before the command, it runs in the pod that asks */
  constructor(enter: readonly string[], plan: RequestPlan) {
    const program = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
    const [command, ...args] = [...enter, ...program, JSON.stringify(plan)];
    this.#child = spawn(command!, args, { cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#answer = JSON.parse(line) as RequestSample;
    });
  }

  /** What happened since the last sample. */
  async sample(): Promise<RequestSample> {
    this.#answer = undefined;
    this.#child.stdin.write('\n');
    return until('the requests are told', async () => this.#answer);
  }

  stop(): void {
    this.#child.stdin.end();
  }
}
