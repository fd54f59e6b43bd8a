/** From numbers inside a sandbox to processes of the machine, and the way into their namespaces. */

import { sandboxErrors } from '../errors.ts';
import { childrenOf, namespaceOf, pidsInNamespaceOf } from '../host/process-table.ts';
import { readOwner } from '../host/state-directory.ts';
import { findProgram } from '../host/tools.ts';
import type { Environment, ProcessFacts } from './environment.ts';

export class HostView {
  readonly #pids: ReadonlyMap<number, number>;

  /** @throws AMBIT_SANDBOX_NOT_UP */
  constructor(state: string) {
    const owner = readOwner(state);
    const first = owner === undefined ? undefined : childrenOf(owner.pid)[0];
    if (first === undefined)
      throw sandboxErrors.AMBIT_SANDBOX_NOT_UP(`the sandbox of ${state} is not running`);
    this.#pids = pidsInNamespaceOf(first);
  }

  /** A process of the sandbox as the machine knows it. @throws AMBIT_SANDBOX_NOT_RUNNING */
  locate(pid: number): ProcessFacts {
    const outside = this.#pids.get(pid);
    if (outside === undefined)
      throw sandboxErrors.AMBIT_SANDBOX_NOT_RUNNING(`process ${pid} of the sandbox has ended`);
    return { pid: outside, netns: `/proc/${outside}/ns/net`, enter: enterCommand(outside) };
  }

  /** The same facts with every process as the machine knows it; one that has ended meanwhile is left out. */
  translate(environment: Environment): Environment {
    return this.#translateValue(environment) as Environment;
  }

  #translateValue(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.#translateValue(one));
    if (typeof value !== 'object' || value === null) return value;
    const { pid, netns, enter, ...rest } = value as Record<string, unknown>;
    const entries = Object.entries(rest).map(([key, one]) => [key, this.#translateValue(one)]);
    const outside = typeof pid === 'number' ? this.#pids.get(pid) : undefined;
    const process = outside === undefined ? {} : this.#processOf(outside, netns !== undefined);
    return { ...Object.fromEntries(entries), ...process };
  }

  #processOf(pid: number, whole: boolean): Partial<ProcessFacts> {
    return whole ? { pid, netns: `/proc/${pid}/ns/net`, enter: enterCommand(pid) } : { pid };
  }
}

/** An ordinary user comes in through the user namespace that is the user's own. */
function enterCommand(pid: number): readonly string[] {
  const foreign = namespaceOf(pid, 'user') !== namespaceOf('self', 'user');
  const user = foreign ? ['--user', '--preserve-credentials'] : [];
  const nsenter = findProgram('nsenter') ?? 'nsenter';
  return [nsenter, `--target=${pid}`, ...user, '--mount', '--net', '--uts', '--ipc', '--pid', '--'];
}
