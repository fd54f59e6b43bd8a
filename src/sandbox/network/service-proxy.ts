/** Keeps the service rules of one node in step with the services and their ready endpoints. */

import type { IpFamily } from '../../base/ip.ts';
import { runCommand } from '../host/run-command.ts';
import type { NodeNetwork } from './node-network.ts';
import { ENTRY_RULES, type ServicePort, serviceRules } from './service-rules.ts';

const RESTORE: Readonly<Record<IpFamily, string>> = { 4: 'iptables-restore', 6: 'ip6tables-restore' };

interface FamilyState {
  chains: readonly string[];
  text: string;
}

export class ServiceProxy {
  readonly #node: NodeNetwork;
  readonly #states = new Map<IpFamily, FamilyState>();
  #latest: readonly ServicePort[] = [];
  #running: Promise<void> | undefined;

  constructor(node: NodeNetwork, families: readonly IpFamily[]) {
    this.#node = node;
    for (const family of families) this.#states.set(family, { chains: [], text: '' });
  }

  async start(): Promise<void> {
    await Promise.all([...this.#states.keys()].map((family) => this.#restore(family, ENTRY_RULES)));
  }

  /** Resolves when these ports, or later ones, are in force. Calls that come while the kernel is busy become one. */
  update(ports: readonly ServicePort[]): Promise<void> {
    this.#latest = ports;
    this.#running ??= this.#applyLatest().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #applyLatest(): Promise<void> {
    let applied: readonly ServicePort[];
    do {
      applied = this.#latest;
      await this.#apply(applied);
    } while (applied !== this.#latest);
  }

  async #apply(ports: readonly ServicePort[]): Promise<void> {
    await Promise.all(
      [...this.#states].map(async ([family, state]) => {
        const next = serviceRules(family, ports, state.chains);
        if (next.text === state.text) return;
        await this.#restore(family, next.text);
        state.chains = next.chains;
        state.text = next.text;
      }),
    );
  }

  async #restore(family: IpFamily, input: string): Promise<void> {
    await runCommand([...this.#node.holder.enter(['net']), RESTORE[family], '--noflush', '-w', '5'], {
      input,
    });
  }
}
