/** The pause process: it does nothing but keep the namespaces of one node or pod alive. */

import { type ChildProcess, spawn } from 'node:child_process';
import { sandboxErrors } from '../errors.ts';
import { procPid } from '../host/process-table.ts';

export interface HolderOptions {
  /** Host name inside. */
  readonly name: string;
  /** Holds the files resolv.conf and hosts that are seen as /etc/resolv.conf and /etc/hosts inside. */
  readonly folder: string;
  /** Share the network of this holder instead of having one's own (`hostNetwork`). */
  readonly network?: NamespaceHolder;
  /** Lines `path value` below /proc/sys/net, written before the first link appears. */
  readonly sysctls: readonly string[];
}

/**
 * $1: folder, $2: host name, $3: sysctls. A sysctl that this kernel does not have is none that matters: without IPv6
 * there is nothing to tune in it.
 */
const SCRIPT = `
mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/hosts" /etc/hosts || exit 1
hostname "$2" 2>/dev/null
echo "$3" | while read -r path value; do
  [ ! -f "/proc/sys/net/$path" ] || echo "$value" >"/proc/sys/net/$path" || exit 1
done || exit 1
echo ready
exec sleep infinity
`;

/** Owns the namespaces: they live as long as its process and the processes inside. */
export class NamespaceHolder {
  readonly #process: ChildProcess;
  /** Resolves when the process has ended, whoever ended it. */
  readonly ended: Promise<void>;

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.ended = new Promise((resolve) => process.once('exit', () => resolve()));
  }

  /** @throws AMBIT_SANDBOX_COMMAND_FAILED when the kernel or the system tools refuse */
  static async start(options: HolderOptions): Promise<NamespaceHolder> {
    const network = options.network === undefined ? ['--net'] : [];
    const inside = options.network === undefined ? [] : options.network.enter(['net']);
    const script = ['sh', '-c', SCRIPT, 'pause', options.folder, options.name, options.sysctls.join('\n')];
    const command = [...inside, 'unshare', '--mount', '--uts', ...network, ...script];
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    const holder = new NamespaceHolder(child);
    await untilReady(child, options.name);
    return holder;
  }

  /** In the process namespace of the sandbox. */
  get pid(): number {
    return this.#process.pid!;
  }

  get alive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** What to put before a command to run it in these namespaces. */
  enter(namespaces: readonly ('net' | 'mount' | 'uts')[] = ['net', 'mount', 'uts']): readonly string[] {
    return ['nsenter', `--target=${procPid(this.pid)}`, ...namespaces.map((one) => `--${one}`), '--'];
  }

  /** Lets go of the namespaces. */
  async stop(): Promise<void> {
    if (this.alive) this.#process.kill('SIGKILL');
    await this.ended;
  }
}

function untilReady(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let errors = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.stdout!.once('data', () => {
      // Two descriptors less for every pod; the process never writes again.
      child.stdout!.destroy();
      child.stderr!.destroy();
      resolve();
    });
    child.once('error', reject);
    child.once('close', () => {
      const reason = errors.trim() || 'ended at once';
      reject(sandboxErrors.AMBIT_SANDBOX_COMMAND_FAILED(`namespaces of ${name}: ${reason}`));
    });
  });
}
