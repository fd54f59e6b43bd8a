/** The bench's end of a load generator that runs in a pod. */

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Enter, type ProgramInside, startFileInside } from '../../../support/program-inside.ts';
import type { LoadOrder, LoadReport, LoadResult } from './load-protocol.ts';

const GENERATOR = join(import.meta.dirname, 'generator-main.ts');
const SINK = join(import.meta.dirname, 'sink-main.ts');
/** Beyond what an order says of itself. */
const ANSWER_TIMEOUT_MS = 120_000;

/** Resolves when the sink of a pod listens. */
export async function startSink(enter: Enter, port: number): Promise<Disposable> {
  const child = startFileInside(enter, [SINK, String(port)]);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the sink ended with ${code}`)));
  });
  return { [Symbol.dispose]: () => child.kill('SIGKILL') };
}

export class LoadClient implements Disposable {
  readonly #child: ProgramInside;
  #onReport: (report: LoadReport) => void = () => {};
  #onEnd: (error: Error) => void = () => {};

  private constructor(enter: Enter) {
    this.#child = startFileInside(enter, [GENERATOR]);
    createInterface(this.#child.stdout).on('line', (line) => this.#onReport(JSON.parse(line)));
    this.#child.once('exit', (code) => this.#onEnd(new Error(`the load generator ended with ${code}`)));
  }

  static async start(enter: Enter): Promise<LoadClient> {
    const client = new LoadClient(enter);
    await client.#until('ready');
    return client;
  }

  /** @throws Error with what the generator could not do */
  async run(order: LoadOrder): Promise<LoadResult> {
    const done = this.#until('done');
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    return done;
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }

  /** The report of this kind, or a rejection with what went wrong. */
  #until<K extends LoadReport['kind']>(kind: K): Promise<ReportOf<K>> {
    const { promise, resolve, reject } = Promise.withResolvers<ReportOf<K>>();
    const timer = setTimeout(() => reject(new Error('no answer of the load generator')), ANSWER_TIMEOUT_MS);
    this.#onEnd = reject;
    this.#onReport = (report) => {
      if (report.kind === 'failed') reject(new Error(report.message));
      else if (isOfKind(report, kind)) resolve(report);
    };
    return promise.finally(() => clearTimeout(timer));
  }
}

type ReportOf<K extends LoadReport['kind']> = Extract<LoadReport, { readonly kind: K }>;

function isOfKind<K extends LoadReport['kind']>(report: LoadReport, kind: K): report is ReportOf<K> {
  return report.kind === kind;
}
