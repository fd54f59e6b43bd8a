/** `ambit ztunnel`: the node proxy, configured by environment variables alone. */

import { flushCompileCache } from 'node:module';
import { exitProcess } from '../sys/process-exit.ts';
import { logger, setLogFormat, setLogLevels } from '../telemetry/log.ts';
import { readConfig } from './config.ts';
import { readNameservers } from './control/nameservers.ts';
import { explainStart, ZtunnelProcess } from './control/ztunnel-process.ts';

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
  const ztunnel = new ZtunnelProcess(config);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void ztunnel.stop(signal));
  await ztunnel.start();
  // For the next one, which has to take over quickly; it counts where NODE_COMPILE_CACHE asks for it.
  flushCompileCache();
}
