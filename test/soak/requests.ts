/** The test's end of the requests of one pod. */

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ProgramInside, startFileInside } from '../support/program-inside.ts';
import { until } from '../support/sandbox-commands.ts';
import type { RequestPlan, RequestSample } from './requests-main.ts';

const PROGRAM = join(import.meta.dirname, 'requests-main.ts');

export class Requests {
  readonly #child: ProgramInside;
  #answer: RequestSample | undefined;

  /** @param enter put before the command, it runs in the pod that asks */
  constructor(enter: readonly string[], plan: RequestPlan) {
    this.#child = startFileInside(enter, [PROGRAM, JSON.stringify(plan)]);
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
