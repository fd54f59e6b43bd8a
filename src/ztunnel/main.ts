/** `ambit ztunnel`: the node proxy, configured by environment variables alone. */

import { flushCompileCache } from 'node:module';
import { AmbitError } from '../base/errors.ts';
import { reserveDescriptors } from '../sys/descriptor-table.ts';
import { exitProcess } from '../sys/process-exit.ts';
import { keepMemorySmall } from '../sys/process-memory.ts';
import { logger, setLogFormat, setLogLevels } from '../telemetry/log.ts';
import { readConfig } from './config.ts';
import { readNameservers } from './control/nameservers.ts';
import { ReactorPool } from './control/reactor-pool.ts';

const log = logger('ztunnel');

/** Runs until a signal; bad configuration and a failed start end the process with 1 and say why. */
export async function runZtunnel(argv: readonly string[]): Promise<void> {
  if (argv.length > 0) {
    process.stdout.write(
      'ambit ztunnel takes no arguments; see docs/ztunnel.md for its environment variables\n',
    );
    exitProcess(argv.includes('--help') ? 0 : 2);
  }
  try {
    await start();
  } catch (thrown) {
    log.error('ztunnel cannot start', { error: explainStart(thrown) });
    exitProcess(1);
  }
}

async function start(): Promise<void> {
  const read = readConfig(process.env);
  const nameservers = read.nameservers.length > 0 ? read.nameservers : readNameservers('/etc/resolv.conf');
  const config = { ...read, nameservers };
  setLogFormat(config.logFormat);
  if (config.logLevel !== undefined) setLogLevels(config.logLevel);
  keepMemorySmall();
  const pool = new ReactorPool();
  const reactors = pool.start(config);
  // Whoever waits for it hears of it.
  reactors.catch(() => {});
  // While the threads load their part of the program.
  reserveDescriptors();
  const { ZtunnelProcess } = await import('./control/ztunnel-process.ts');
  const ztunnel = new ZtunnelProcess(config, pool);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void ztunnel.stop(signal));
  await ztunnel.start(reactors);
  // For the next one, which has to take over quickly; it counts where NODE_COMPILE_CACHE asks for it.
  flushCompileCache();
}

/** For the first error of a start: an operator wants the message, not a stack. */
function explainStart(thrown: unknown): string {
  if (!(thrown instanceof AmbitError)) return String(thrown instanceof Error ? thrown.stack : thrown);
  return `${thrown.message}\n  ${thrown.code}: ${thrown.hint}`;
}
