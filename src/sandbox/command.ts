/** `ambit sandbox`: a whole cluster on one machine, out of namespaces, without root. */

import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { AmbitError } from '../base/errors.ts';
import type { ExecOptions } from './cli/exec.ts';
import type { LogsOptions } from './cli/logs.ts';
import type { DeleteOptions, GetOptions, ScopeOptions } from './cli/object-commands.ts';
import { note } from './cli/terminal.ts';
import type { UpOptions } from './cli/up.ts';
import { MAX_NODES, MESH_COMPONENTS, type MeshComponent, OUTPUT_FORMATS } from './client/sandbox-protocol.ts';

/** Of the sandbox that is meant when none is named. */
const DEFAULT_NAME = 'default';

/** What a command does is read when it is called: the quick ones stay quick. */
const load = {
  exec: () => import('./cli/exec.ts'),
  life: () => import('./cli/life-commands.ts'),
  logs: () => import('./cli/logs.ts'),
  objects: () => import('./cli/object-commands.ts'),
  up: () => import('./cli/up.ts'),
};

/** Exit codes of every command. */
const FAILED = 1;
const USAGE = 2;
const UNREACHABLE = 3;

/** @param argv what follows `ambit sandbox` */
export async function runSandbox(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (thrown) {
    process.exitCode = report(thrown);
  }
}

/** Says what went wrong, and returns the exit code for it. */
function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE;
  if (!(thrown instanceof AmbitError)) throw thrown;
  note(`ambit sandbox: ${thrown.message}\n  ${thrown.code}: ${thrown.hint}`);
  if (thrown.code === 'AMBIT_SANDBOX_USAGE' || thrown.code === 'AMBIT_SANDBOX_NAME_INVALID') return USAGE;
  return thrown.code === 'AMBIT_SANDBOX_NOT_UP' ? UNREACHABLE : FAILED;
}

function createProgram(): Command {
  const program = new Command('ambit sandbox')
    .description('A whole cluster on one machine: nodes and pods are network namespaces.')
    .exitOverride();
  addLifeCommands(program);
  addObjectCommands(program);
  addInsideCommands(program);
  return program;
}

/** Subcommands take over how errors leave the program. */
function addCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .addOption(new Option('--name <name>', 'which sandbox').default(DEFAULT_NAME));
}

function addLifeCommands(program: Command): void {
  addCommand(program, 'up', 'start a sandbox; stays in the foreground until Ctrl-C unless --detach')
    .option('-f, --filename <path>', 'files and folders of manifests (repeatable)', collect, [])
    .option('-n, --namespace <namespace>', 'of manifests that name none', 'default')
    .option('--nodes <count>', 'number of nodes', wholeNumber(1, MAX_NODES), 2)
    .addOption(
      new Option('--ip-families <families>', 'of pods and services').choices(['ipv4', 'ipv6', 'dual']),
    )
    .option('--detach', 'return when every pod is ready; fail, naming the others, when some are not')
    .option('--timeout <seconds>', 'how long to wait for the pods', wholeNumber(1, 86_400), 120)
    .option('--ztunnel <node=command>', 'run this program as the ztunnel of a node (repeatable)', collect, [])
    .option(
      '--mesh-env <name=value>',
      'in the environment of every process of the mesh (repeatable)',
      collect,
      [],
    )
    .option('--xds <address>', 'use this control plane, and start none')
    .option('--ca-root <file>', 'the root certificate that verifies it')
    .addOption(new Option('--no-mesh', 'start no process of the mesh').hideHelp())
    .action(async (options: UpOptions & { timeout: number }) => {
      const root = options.caRoot === undefined ? {} : { caRoot: resolve(options.caRoot) };
      await (await load.up()).up({ ...options, ...root, timeoutSeconds: options.timeout });
    });
  addCommand(program, 'down', 'end a sandbox and remove everything of it').action(async ({ name }) =>
    (await load.life()).down(name),
  );
  addCommand(
    program,
    'env',
    'where every part of the sandbox is: processes, namespaces, sockets, ports, files',
  )
    .addOption(
      new Option('-o, --output <format>', 'how to print it').choices(['json', 'yaml']).default('yaml'),
    )
    .action(async ({ name, output }) => (await load.life()).env(name, output));
  addCommand(program, 'restart', 'restart a process of the mesh')
    .argument('<component>', MESH_COMPONENTS.join(', '), meshComponent)
    .option('--node <node>', 'only on this node')
    .action(async (component: MeshComponent, { name, node }) =>
      (await load.life()).restart(name, { component, ...(node === undefined ? {} : { node }) }),
    );
}

function meshComponent(text: string): MeshComponent {
  const found = MESH_COMPONENTS.find((one) => one === text);
  if (found === undefined) throw new InvalidArgumentError(`It must be one of ${MESH_COMPONENTS.join(', ')}.`);
  return found;
}

function addObjectCommands(program: Command): void {
  const scoped = (usage: string, description: string) =>
    addCommand(program, usage, description).option(
      '-n, --namespace <namespace>',
      'which namespace',
      'default',
    );
  scoped('apply', 'create objects or change them')
    .requiredOption('-f, --filename <path>', 'files and folders of manifests; - is standard input', collect)
    .action(async (options: ScopeOptions & { filename: string[] }) => (await load.objects()).apply(options));
  scoped('delete [kind-and-names...]', 'delete objects: KIND NAME…, KIND/NAME… or -f')
    .option('-f, --filename <path>', 'what these manifests describe', collect)
    .option('--grace-period <seconds>', 'how long pods may take to end', wholeNumber(0, 86_400))
    .option('--ignore-not-found', 'an object that is not there is no error')
    .option('--no-wait', 'do not wait until they are gone')
    .action(async (words: string[], options: DeleteOptions) => (await load.objects()).remove(words, options));
  scoped('label <words...>', 'set labels: KIND NAME KEY=VALUE… KEY-…')
    .option('--overwrite', 'accepted for the habit: labels are always overwritten')
    .action(async (words: string[], options: ScopeOptions) => (await load.objects()).label(words, options));
  scoped('get <kind> [names...]', 'print objects')
    .option('-A, --all-namespaces', 'of every namespace')
    .option('-l, --selector <selector>', 'only those with these labels')
    .option('--no-headers', 'leave out the titles of the columns')
    .addOption(
      new Option('-o, --output <format>', 'how to print them').choices(OUTPUT_FORMATS).default('table'),
    )
    .action(async (kind: string, names: string[], options: GetOptions) =>
      (await load.objects()).get(kind, names, options),
    );
}

function addInsideCommands(program: Command): void {
  const scoped = (usage: string, description: string) =>
    addCommand(program, usage, description)
      .option('-n, --namespace <namespace>', 'which namespace', 'default')
      .option('-c, --container <container>', 'which container; the first one by default');
  scoped('exec <pod> <command...>', 'run a command in a pod: exec POD -- COMMAND…')
    .option('-i, --stdin', 'accepted for the habit: standard input is always passed on')
    .option('-t, --tty', 'accepted for the habit: the terminal is always passed on')
    .action(async (pod: string, command: string[], options: ExecOptions) => {
      process.exitCode = await (await load.exec()).execInPod(pod, command, options);
    });
  scoped(
    'logs <pod>',
    `print what a container has written, or a process of the mesh: ${MESH_COMPONENTS.join(', ')}`,
  )
    .option('--node <node>', 'of a process of the mesh')
    .option('-f, --follow', 'go on printing')
    .option('--tail <lines>', 'only the last lines', wholeNumber(0, 1_000_000))
    .action(async (pod: string, options: LogsOptions) => (await load.logs()).logs(pod, options));
  const node = program.command('node').description('work inside a node').exitOverride();
  addCommand(
    node,
    'exec <node> <command...>',
    'run a command in the network of a node: node exec NODE -- COMMAND…',
  ).action(async (name: string, command: string[], options: { name: string }) => {
    process.exitCode = await (await load.exec()).execInNode(name, command, options.name);
  });
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
