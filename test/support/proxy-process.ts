/** Node proxies as processes that take each other's place, as in an upgrade. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { eventually } from './eventually.ts';
import { encodePlan, type ProxyPlan } from './proxy-plan.ts';

const PROGRAM = join(import.meta.dirname, 'proxy-process-main.ts');
/** Those that the DaemonSet gives it: setns() needs the one, SO_MARK and IP_TRANSPARENT the other. */
const CAPABILITIES = '-all,+net_admin,+sys_admin';
const START_DEADLINE_MS = 60_000;

export class ProxyProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #output = '';

  private constructor(plan: ProxyPlan) {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', PROGRAM];
    this.#child = spawn('setpriv', [`--bounding-set=${CAPABILITIES}`, ...node], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    this.#child.stdin.write(`${encodePlan(plan)}\n`);
  }

  /** Resolves when it serves all of its pods. */
  static async start(plan: ProxyPlan): Promise<ProxyProcess> {
    const proxy = new ProxyProcess(plan);
    await eventually('a proxy that serves', () => proxy.#serves(), START_DEADLINE_MS);
    return proxy;
  }

  #serves(): boolean {
    if (this.#child.exitCode !== null) throw new Error(`the proxy ended with ${this.#child.exitCode}`);
    return this.#output.startsWith('ready');
  }

  /** Tells it to stop; resolves with what it has logged when it has ended. */
  async stop(): Promise<string> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [code, signal] = await ended;
    if (code !== 0) throw new Error(`the proxy ended with ${code ?? signal}: ${this.#output}`);
    return this.#output.slice('ready\n'.length);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
