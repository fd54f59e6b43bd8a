/** A node proxy in a process of its own, as a drill sees it: memory, descriptors, counters and a log. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { usageOf } from '../bench/process-usage.ts';
import { descriptorCount } from '../support/descriptor-count.ts';
import { encodePlan, type ProxyPlan } from '../support/proxy-plan.ts';
import type { NodeAnswer, NodeReport } from './node-process-main.ts';

const PROGRAM = join(import.meta.dirname, 'node-process-main.ts');
/** So few that a drill can reach what a pod may have of them, and more than its HBONE connections may be. */
const DESCRIPTORS = 12_000;

export class NodeProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor() {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
    this.#child = spawn('prlimit', [`--nofile=${DESCRIPTORS}`, ...node], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#ended = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`the node's process has ended with ${code ?? signal}`);
    });
    this.#ended.catch(() => {});
  }

  /** Resolves when it serves all of its pods. */
  static async start(plan: ProxyPlan): Promise<NodeProcess> {
    const node = new NodeProcess();
    node.#child.send(encodePlan(plan));
    await node.#answer();
    return node;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resident memory in bytes. */
  get residentBytes(): number {
    return usageOf(this.pid).residentBytes;
  }

  get descriptors(): number {
    return descriptorCount(this.pid);
  }

  async report(): Promise<NodeReport> {
    this.#child.send('report');
    const answer = await this.#answer();
    if (answer.kind !== 'report') throw new Error(`the node answered with ${answer.kind}`);
    return answer.report;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #answer(): Promise<NodeAnswer> {
    const [answer] = await Promise.race([once(this.#child, 'message'), this.#ended]);
    return answer as NodeAnswer;
  }
}
