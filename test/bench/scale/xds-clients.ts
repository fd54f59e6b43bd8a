/** The process with the xDS clients, as the benchmark speaks to it. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ClientsPlan, FromClients, ToClients } from './xds-clients-main.ts';

const PROGRAM = join(import.meta.dirname, 'xds-clients-main.ts');

type Answer<K extends FromClients['kind']> = Extract<FromClients, { kind: K }>;

export class XdsClients implements Disposable {
  readonly #child: ChildProcess = fork(PROGRAM, { execArgv: ['--disable-warning=ExperimentalWarning'] });

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves when all of them have the first state. */
  async start(plan: ClientsPlan, timeoutMs: number): Promise<void> {
    await this.#ask({ kind: 'start', plan }, 'synced', timeoutMs);
  }

  /** Resolves when every client has every one of these, with the time at which the last one had it. */
  async receiptOf(names: readonly string[], timeoutMs: number): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.#ask({ kind: 'expect', names }, 'complete', timeoutMs)).times);
  }

  usage(): Promise<Answer<'usage'>> {
    return this.#ask({ kind: 'usage' }, 'usage', 60_000);
  }

  [Symbol.dispose](): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.kill('SIGKILL');
  }

  async #ask<K extends FromClients['kind']>(
    question: ToClients,
    kind: K,
    timeoutMs: number,
  ): Promise<Answer<K>> {
    this.#child.send(question);
    const signal = AbortSignal.timeout(timeoutMs);
    for (;;) {
      const [answer] = (await once(this.#child, 'message', { signal })) as [FromClients];
      if (answer.kind === 'failed') throw new Error(`a client failed: ${answer.error}`);
      if (isOf(answer, kind)) return answer;
    }
  }
}

function isOf<K extends FromClients['kind']>(answer: FromClients, kind: K): answer is Answer<K> {
  return answer.kind === kind;
}
