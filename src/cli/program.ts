/** The commands people type, beside those of the sandbox. */

import { Command, CommanderError } from 'commander';
import { AmbitError } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { addCaCommand } from './commands/ca-command.ts';
import { addCheckCommand } from './commands/check-command.ts';
import { addCompletionCommand, COMPLETE_COMMAND, writeWords } from './commands/completion-command.ts';
import { addInstallCommands } from './commands/install-commands.ts';
import { EXIT } from './commands/program-options.ts';
import { addStatusCommand } from './commands/status-command.ts';
import { addVersionCommand } from './commands/version-command.ts';
import { addZtunnelConfigCommand } from './commands/ztunnel-config-command.ts';

/** What means that nobody was reached, as opposed to somebody who refused. */
const UNREACHABLE_CODES = [
  'AMBIT_CLI_UNREACHABLE',
  'AMBIT_SANDBOX_NOT_UP',
  'AMBIT_KUBE_UNREACHABLE',
  'AMBIT_KUBE_CONFIG_INVALID',
  'AMBIT_KUBE_CREDENTIALS_UNAVAILABLE',
];

/** @param argv the whole command line behind `ambit` */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  process.stdout.on('error', onOutputError);
  try {
    if (argv[0] === COMPLETE_COMMAND) return await writeWords(program, argv.slice(1));
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
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT.usage;
  if (!(thrown instanceof AmbitError)) throw thrown;
  process.stderr.write(`ambit: ${thrown.message}\n  ${thrown.code}: ${thrown.hint}\n`);
  if (thrown.code === 'AMBIT_CLI_USAGE') return EXIT.usage;
  return UNREACHABLE_CODES.includes(thrown.code) ? EXIT.unreachable : EXIT.failed;
}

/** Every command; what a command needs beyond its flags is loaded when it runs. */
export function createProgram(): Command {
  const program = new Command('ambit')
    .description('An ambient service mesh for Kubernetes: mutual TLS for every pod of a labelled namespace.')
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText(
      'after',
      '\nMore commands:\n  sandbox            a whole cluster on this machine, without root\n' +
        '  ztunnel | cni | controlplane   the processes of the mesh\n' +
        '  packets            prints the TCP segments that pass an interface\n' +
        '  echo               the server and client that stand for applications in a sandbox\n',
    );
  addInstallCommands(program);
  addCheckCommand(program);
  addStatusCommand(program);
  addZtunnelConfigCommand(program);
  addCaCommand(program);
  addVersionCommand(program);
  addCompletionCommand(program);
  throwInsteadOfExit(program);
  return program;
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) throwInsteadOfExit(child);
}
