/** The commands people type, beside those of the sandbox. */

import { Command, CommanderError, Option } from 'commander';
import { AmbitError } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { directAdmin, fileAdmin, type NodeAdmin } from './admin-source.ts';
import { errors } from './errors.ts';
import { OUTPUT_FORMATS } from './printer.ts';
import { showStatus } from './status.ts';
import {
  type ConfigOptions,
  changeLogLevels,
  showCertificates,
  showConnections,
  showPolicies,
  showServices,
  showWorkloads,
} from './ztunnel-config.ts';

/** Exit codes of every command: findings or failures, usage, nobody reached. */
const FAILED = 1;
const USAGE = 2;
const UNREACHABLE = 3;
const DEFAULT_ADMIN = 'localhost:15000';

/** Where the dump comes from: options that all commands share. */
interface SourceOptions {
  readonly sandbox?: string;
  readonly admin?: string;
  readonly file?: string;
  readonly node?: string;
}

/** @param argv the whole command line behind `ambit` */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  process.stdout.on('error', onOutputError);
  try {
    if (argv.length === 0) program.help();
    await program.parseAsync([...argv], { from: 'user' });
  } catch (thrown) {
    process.exitCode = report(thrown);
  }
}

/** A reader that has seen enough, as `head` has, is no error; there is nobody left to write for. */
function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE;
  if (!(thrown instanceof AmbitError)) throw thrown;
  process.stderr.write(`ambit: ${thrown.message}\n  ${thrown.code}: ${thrown.hint}\n`);
  if (thrown.code === 'AMBIT_CLI_USAGE') return USAGE;
  return thrown.code === 'AMBIT_CLI_UNREACHABLE' || thrown.code === 'AMBIT_SANDBOX_NOT_UP'
    ? UNREACHABLE
    : FAILED;
}

function createProgram(): Command {
  const program = new Command('ambit')
    .description('An ambient service mesh for Kubernetes: mutual TLS for every pod of a labelled namespace.')
    .exitOverride()
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText(
      'after',
      '\nMore commands:\n  sandbox            a whole cluster on this machine, without root\n' +
        '  ztunnel | cni | controlplane   the processes of the mesh\n' +
        '  packets            prints the TCP segments that pass an interface\n' +
        '  echo               the server and client that stand for applications in a sandbox\n',
    );
  sourced(program.command('status'), 'what every node proxy knows and does').action(
    async (options: SourceOptions & ConfigOptions) => showStatus(await adminsOf(options), options),
  );
  addZtunnelConfig(
    program.command('ztunnel-config').alias('zc').description('what a node proxy is configured with'),
  );
  return program;
}

function addZtunnelConfig(group: Command): void {
  sourced(group.command('workload'), 'workloads of the mesh')
    .option('--address <ip>', 'only the one with this address')
    .option('--workload-node <node>', 'only those of this node')
    .option('--workload-namespace <namespace>', 'only those of this namespace')
    .action(async (options) => showWorkloads(await adminOf(options), options));
  sourced(group.command('service'), 'services of the mesh')
    .option('--service-namespace <namespace>', 'only those of this namespace')
    .action(async (options) => showServices(await adminOf(options), options));
  sourced(group.command('policy'), 'authorization policies')
    .option('--policy-namespace <namespace>', 'only those of this namespace')
    .action(async (options) => showPolicies(await adminOf(options), options));
  sourced(group.command('certificate'), 'certificates of the pods of the node').action(async (options) =>
    showCertificates(await adminsOf(options), options),
  );
  sourced(group.command('connections'), 'open connections of the pods of the node')
    .addOption(new Option('--direction <direction>', 'only these').choices(['inbound', 'outbound']))
    .option('--workload-namespace <namespace>', 'only those of pods of this namespace')
    .option('--raw', 'addresses instead of names')
    .action(async (options) => showConnections(await adminsOf(options), options));
  sourced(group.command('log'), 'log levels: shown, or changed with --level or --reset')
    .option('--level <levels>', 'such as debug, or access=debug,info')
    .option('-r, --reset', 'set them back')
    .action(async (options) => changeLogLevels(await adminsOf(options), options));
}

function sourced(command: Command, description: string): Command {
  return command
    .description(description)
    .exitOverride()
    .addOption(new Option('--sandbox <name>', 'a sandbox on this machine').env('AMBIT_SANDBOX'))
    .option('--node <node>', 'only the proxy of this node')
    .option('--admin <host:port>', `the admin API of one proxy (default ${DEFAULT_ADMIN})`)
    .option('-f, --file <path>', 'a saved /config_dump instead of a running proxy')
    .addOption(
      new Option('-o, --output <format>', 'how to print it').choices(OUTPUT_FORMATS).default('table'),
    )
    .option('--no-headers', 'leave out the titles of the columns');
}

/** Every proxy that the options mean. */
async function adminsOf(options: SourceOptions): Promise<NodeAdmin[]> {
  if (options.file !== undefined) return [fileAdmin(options.file)];
  if (options.sandbox === undefined) return [directAdmin(options.admin ?? DEFAULT_ADMIN)];
  const { sandboxAdmins } = await import('./sandbox-admin.ts');
  const admins = await sandboxAdmins(options.sandbox);
  const wanted = admins.filter((admin) => options.node === undefined || admin.node === options.node);
  if (wanted.length > 0) return wanted;
  throw errors.AMBIT_CLI_UNREACHABLE(
    `sandbox ${options.sandbox} runs no proxy on ${options.node ?? 'any node'}`,
  );
}

/** Where every proxy knows the same, one of them is enough. */
async function adminOf(options: SourceOptions): Promise<NodeAdmin> {
  return (await adminsOf(options))[0]!;
}
