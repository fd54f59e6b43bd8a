/** The daemon of a sandbox: runs alone in namespaces of its own, and takes everything along when it ends. */

import { mkdirSync, readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { messageOf } from '../../base/errors.ts';
import { flushLog, logger } from '../../telemetry/log.ts';
import { pidsInNamespaceOf, sendSignal } from '../host/process-table.ts';
import { removeState } from '../host/state-directory.ts';
import { MeshAdmission } from '../mesh/mesh-admission.ts';
import { MeshProcesses } from '../mesh/mesh-processes.ts';
import { callHandlers } from './call-handlers.ts';
import { serveCalls } from './call-server.ts';
import { Cluster } from './cluster.ts';
import { limitLogs } from './log-limiter.ts';
import { type SandboxConfig, StatePaths } from './sandbox-config.ts';

const log = logger('daemon');

/** Its argument is the state directory, which holds the configuration. */
async function main(state: string): Promise<void> {
  const paths = new StatePaths(state);
  const config = JSON.parse(readFileSync(paths.configFile, 'utf8')) as SandboxConfig;
  const end = () => endSandbox(state);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  if (config.endWithInput) process.stdin.on('close', end).resume();
  mkdirSync(paths.logs, { recursive: true });
  const cluster = await Cluster.start(config, admissionFor(config, paths));
  const mesh = config.mesh === undefined ? undefined : new MeshProcesses(config, config.mesh, cluster);
  mesh?.start();
  await serveCalls(paths.socket, callHandlers({ config, cluster, mesh, end }));
  limitLogs(paths.logs);
  // For those that start the same way after it, where NODE_COMPILE_CACHE asks for it; it never ends in good order.
  flushCompileCache();
  log.info('the sandbox is up', { name: config.name, nodes: config.nodes, families: config.ipFamilies });
}

function admissionFor(config: SandboxConfig, paths: StatePaths): Parameters<typeof Cluster.start>[1] {
  if (config.mesh === undefined) return () => ({ admit: () => Promise.resolve() });
  return (store) => new MeshAdmission(store, (node) => paths.pluginSocket(node));
}

/** The kernel ends every process with the first one of the namespace; they go before, so that none writes any more. */
function endSandbox(state: string): never {
  log.info('the sandbox ends');
  flushLog();
  if (isAlone()) {
    const others = [...pidsInNamespaceOf('self').keys()].filter((pid) => pid !== 1 && pid !== process.pid);
    for (const pid of others) sendSignal(pid, 'SIGKILL');
  }
  removeState(state);
  process.exit(0);
}

/** Whether all processes seen here are the sandbox's: its first process says so by its name. */
function isAlone(): boolean {
  return readFileSync('/proc/1/cmdline', 'utf8').includes('ambit-sandbox\0');
}

process.on('uncaughtException', (thrown) => {
  log.error('the daemon fails', { error: thrown.stack ?? messageOf(thrown) });
  flushLog();
  process.exit(1);
});

await main(process.argv[2]!);
