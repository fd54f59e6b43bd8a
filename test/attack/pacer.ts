/** Starts the servers and the well-behaved client of a drill inside their pods. */

import { createInterface } from 'node:readline';
import { type LivePod, type PodProcess, runInPod } from '../support/mesh-pods.ts';
import type { PaceReport } from './pacer-main.ts';

const PROGRAM = `${import.meta.dirname}/pacer-main.ts`;

export class Pacer {
  readonly #child: PodProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: PodProcess) {
    this.#child = child;
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  /** An echo server in a pod; resolves when it listens. */
  static serve(pod: LivePod, port: number): Promise<Pacer> {
    return Pacer.#start(runInPod(pod, PROGRAM, 'serve', String(port)));
  }

  /** A client in a pod that calls such a server. */
  static call(
    pod: LivePod,
    target: { readonly host: string; readonly port: number },
    perSecond: number,
  ): Promise<Pacer> {
    return Pacer.#start(runInPod(pod, PROGRAM, 'call', target.host, String(target.port), String(perSecond)));
  }

  static async #start(child: PodProcess): Promise<Pacer> {
    const pacer = new Pacer(child);
    await pacer.#line();
    return pacer;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What the client has seen since the last time. */
  async report(): Promise<PaceReport> {
    this.#child.stdin.write('report\n');
    return JSON.parse(await this.#line()) as PaceReport;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('a process in a pod has ended');
    return next.value;
  }
}
