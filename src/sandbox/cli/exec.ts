/** `ambit sandbox exec` and `node exec`: a command inside a pod or a node, as if it were run there by hand. */

import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { HostView } from '../client/host-view.ts';
import { SandboxClient } from '../client/sandbox-client.ts';
import { sandboxErrors } from '../errors.ts';
import { childrenOf, sendSignal } from '../host/process-table.ts';
import { stateDirectory } from '../host/state-directory.ts';
import { describeProgram, findProgram, systemPath } from '../host/tools.ts';
import { note } from './terminal.ts';

export interface ExecOptions {
  readonly name: string;
  readonly namespace: string;
  readonly container?: string;
}

/** What a shell answers when there is no such command. */
const NOT_FOUND = 127;

/** @returns the exit code of the command */
export async function execInPod(
  pod: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const { name, namespace, container } = options;
  const query = {
    namespace,
    pod,
    ...(container === undefined ? {} : { container }),
  };
  const target = await SandboxClient.named(name).call('container', query);
  if (target.pid === undefined) {
    throw sandboxErrors.AMBIT_SANDBOX_NOT_RUNNING(`pod ${namespace}/${query.pod} is not running`);
  }
  const { workingDirectory } = target;
  const directory =
    workingDirectory === undefined ? [] : ['sh', '-c', 'cd "$0" && exec "$@"', workingDirectory];
  const { enter } = new HostView(stateDirectory(name)).locate(target.pid);
  const terminal = process.env.TERM === undefined ? {} : { TERM: process.env.TERM };
  return run([...enter, ...directory], command, { ...target.env, ...terminal });
}

/** @returns the exit code of the command */
export async function execInNode(node: string, command: readonly string[], name: string): Promise<number> {
  const environment = await SandboxClient.named(name).call('environment', {});
  const found = environment.nodes.find((one) => one.name === node);
  if (found === undefined) {
    const known = environment.nodes.map((one) => one.name).join(', ');
    throw sandboxErrors.AMBIT_SANDBOX_NOT_FOUND(`there is no node ${node}; there are ${known}`);
  }
  const { enter } = new HostView(stateDirectory(name)).locate(found.pid);
  const env = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return run(enter, command, { ...Object.fromEntries(env), PATH: systemPath() });
}

/** Standard input, output and error are the command's own: no byte passes through this process. */
function run(
  enter: readonly string[],
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const program = command[0];
  if (program === undefined)
    throw sandboxErrors.AMBIT_SANDBOX_USAGE('what is to be run? exec POD -- COMMAND…');
  if (findProgram(program, env.PATH) === undefined) {
    note(`ambit sandbox: not installed on this machine: ${describeProgram(program)}`);
    return Promise.resolve(NOT_FOUND);
  }
  const [file, ...args] = [...enter, ...command] as [string, ...string[]];
  let child: ChildProcess | undefined;
  const forward = (signal: NodeJS.Signals) => {
    const pid = child?.pid;
    // nsenter only waits: the command itself is its child, unless it has not come so far.
    const targets = pid === undefined ? [] : childrenOf(pid);
    if (targets.length === 0) child?.kill(signal);
    for (const target of targets) sendSignal(target, signal);
  };
  // Before the command starts: it may be what makes somebody send the signal.
  process.on('SIGTERM', forward).on('SIGHUP', forward);
  // From a terminal Ctrl-C has reached the command by itself.
  process.on('SIGINT', (signal) => hasTerminal() || forward(signal));
  const started = spawn(file, args, { stdio: 'inherit', env });
  child = started;
  return new Promise((resolve, reject) => {
    started.once('error', reject);
    started.once('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal!] ?? 0)));
  });
}

function hasTerminal(): boolean {
  return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
}
