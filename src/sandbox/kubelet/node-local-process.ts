/** The daemon's hand inside a node: a process in the node's network that probes pods and serves DNS. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Backoff } from '../../base/backoff.ts';
import { logger } from '../../telemetry/log.ts';
import type { NodeNetwork } from '../network/node-network.ts';
import type { DnsTable, FromNodeLocal, NetworkProbe, ToNodeLocal } from './node-local-messages.ts';
import type { ProbeAnswer } from './probe-loop.ts';

const log = logger('kubelet');
const MAIN = fileURLToPath(new URL('./node-local-main.ts', import.meta.url));

export interface NodeLocalOptions {
  readonly logFile: string;
  /** A Unix socket that is to lead to the admin API of the node's ztunnel. */
  readonly adminSocket: string;
}

export class NodeLocalProcess {
  readonly #node: NodeNetwork;
  readonly #options: NodeLocalOptions;
  readonly #backoff = new Backoff({ minMs: 100, maxMs: 5000 });
  readonly #waiting = new Map<number, (answer: ProbeAnswer) => void>();
  #child: ChildProcess | undefined;
  #table: DnsTable = { addresses: {}, aliases: {} };
  #nextId = 1;

  constructor(node: NodeNetwork, options: NodeLocalOptions) {
    this.#node = node;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when DNS is served; from then on the process is replaced whenever it ends. */
  start(): Promise<void> {
    return new Promise((resolve) => this.#spawn(resolve));
  }

  setDnsTable(table: DnsTable): void {
    this.#table = table;
    this.#send({ kind: 'dns', table });
  }

  /** Never rejects; without the process the probe fails. */
  probe(probe: NetworkProbe): Promise<ProbeAnswer> {
    return new Promise((resolve) => {
      const id = this.#nextId++;
      this.#waiting.set(id, resolve);
      if (!this.#send({ kind: 'probe', id, probe })) this.#answer(id, lost());
    });
  }

  #spawn(onListening: () => void): void {
    const output = openSync(this.#options.logFile, 'a');
    const node = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      MAIN,
      this.#options.adminSocket,
      ...this.#node.ips,
    ];
    const command = [...this.#node.holder.enter(['net', 'mount']), ...node];
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', output, output, 'ipc'] });
    closeSync(output);
    this.#child = child;
    child.on('message', (message: FromNodeLocal) => {
      if (message.kind === 'answer') this.#answer(message.id, message.answer);
      else {
        this.#backoff.reset();
        onListening();
      }
    });
    child.on('error', (error) => log.error('a process of the node does not start', { error: error.message }));
    child.once('exit', () => this.#replace());
    this.#send({ kind: 'dns', table: this.#table });
  }

  #replace(): void {
    this.#child = undefined;
    for (const id of this.#waiting.keys()) this.#answer(id, lost());
    log.warn('the process that probes and serves DNS has ended', { node: this.#node.name });
    setTimeout(() => this.#spawn(() => {}), this.#backoff.next());
  }

  #send(message: ToNodeLocal): boolean {
    if (this.#child?.connected !== true) return false;
    // The outcome is told by the exit of the process; an error here would only say it twice.
    this.#child.send(message, () => {});
    return true;
  }

  #answer(id: number, answer: ProbeAnswer): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}

function lost(): ProbeAnswer {
  return { ok: false, message: 'the process that makes probes is being restarted' };
}
