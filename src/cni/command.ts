/** `ambit cni`: the node agent as a process, and `ambit cni cleanup`, which takes away what it has put on a node. */

import { dirname } from 'node:path';
import { Command } from 'commander';
import { AmbitError, messageOf } from '../base/errors.ts';
import type { KubeClient } from '../kube/kube-client.ts';
import { exitProcess } from '../sys/process-exit.ts';
import { flushLog, logger } from '../telemetry/log.ts';
import { type CleanupOptions, cleanUp } from './cleanup.ts';
import type { CniMetrics } from './cni-metrics.ts';
import { DEFAULT_ENABLEMENT_SELECTORS, parseEnablementSelectors } from './enablement-selector.ts';
import type { EnrolmentSettings } from './enrolment-decision.ts';
import { cniErrors } from './errors.ts';
import { addFlags, type Flags } from './flags.ts';
import type { Installer } from './install/installer.ts';
import { NodeAgent } from './node-agent.ts';
import { hasObjects, openObjects } from './open-objects.ts';

const log = logger('cni');
/** The DaemonSet that the agent is a pod of. */
const DAEMON_SET = 'ambit-cni';
const DEFAULT_NAMESPACE = 'ambit-system';

/**
 * Runs until SIGTERM or SIGINT, then ends the process. What is in force in pods and on the node stays, unless the agent
 * is being removed from the cluster or from the node.
 */
export async function runCni(argv: readonly string[]): Promise<void> {
  const program = addFlags(new Command('ambit cni').description('the node agent of the mesh'));
  program.action((flags: Flags) => runAgent(flags));
  program
    .command('cleanup')
    .description(
      'remove the CNI plugin and all redirection from the node and its pods; takes the same options',
    )
    .action((_flags: Flags, command: Command) => runCleanup(command.optsWithGlobals()));
  await endOnError(() => program.parseAsync(argv, { from: 'user' }));
}

async function runAgent(flags: Flags): Promise<void> {
  const end = toldToEnd();
  const settings = settingsOf(flags);
  const { source, client } = await openObjects(flags);
  const agent = new NodeAgent({
    source,
    node: flags.node,
    settings,
    dnsCapture: flags.dnsCapture,
    clusterDomain: flags.clusterDomain,
    zdsPath: flags.zds,
    pluginPath: flags.pluginSocket,
    netnsFolder: flags.netnsDir,
    hostProc: flags.hostProc,
    hostNetnsPath: flags.hostNetns,
    iptables: flags.iptables,
    healthPort: flags.healthPort,
    metricsPort: flags.metricsPort,
    ...(client && (await clusterParts(flags, settings, client))),
  });
  const start = agent.start();
  await Promise.race([start.then(() => end), end]);
  if (client !== undefined && (await isRemoved(client, flags))) {
    await agent.uninstall();
    agent.stop();
    await cleanUp({ ...cleanupOptions(flags), source: undefined });
  } else {
    agent.stop();
    log.info('stopped; redirection stays in force');
  }
  flushLog();
  exitProcess(0);
}

/** From the first moment: the first process of a container never sees a signal that comes before somebody listens. */
function toldToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

async function runCleanup(flags: Flags): Promise<void> {
  const objects = hasObjects(flags) ? await openObjects(flags) : undefined;
  const { cniBinDir: binDir, cniConfDir: confDir } = flags;
  if (binDir !== undefined && confDir !== undefined) {
    const { removePlugin } = await import('./install/make-installer.ts');
    removePlugin({ binDir, confDir, runDir: dirname(flags.pluginSocket) });
  }
  const failures = await cleanUp({ ...cleanupOptions(flags), source: objects?.source });
  flushLog();
  exitProcess(failures === 0 ? 0 : 1);
}

function settingsOf({ enablementSelectors, excludeNamespaces }: Flags): EnrolmentSettings {
  const selectors =
    enablementSelectors === undefined
      ? DEFAULT_ENABLEMENT_SELECTORS
      : parseEnablementSelectors(enablementSelectors);
  return { selectors, excludedNamespaces: excludeNamespaces.split(',').map((name) => name.trim()) };
}

function cleanupOptions(flags: Flags): Omit<CleanupOptions, 'source'> {
  return {
    netnsFolder: flags.netnsDir,
    hostProc: flags.hostProc,
    hostNetnsPath: flags.hostNetns,
    iptables: flags.iptables,
    node: flags.node,
  };
}

/** Loaded only where there is an API server. */
async function clusterParts(flags: Flags, settings: EnrolmentSettings, client: KubeClient) {
  const { ClusterAccess } = await import('./cluster-access.ts');
  const cluster = new ClusterAccess(client, flags.node);
  const makeInstaller = await installerOf(flags, settings, client);
  return { cluster, makeInstaller, removeTaint: flags.removeTaint };
}

async function installerOf(
  flags: Flags,
  settings: EnrolmentSettings,
  client: KubeClient,
): Promise<((metrics: CniMetrics) => Installer) | undefined> {
  const { cniBinDir: binDir, cniConfDir: confDir, ownConflist, pluginSocket } = flags;
  if (binDir === undefined && confDir === undefined) return undefined;
  if (binDir === undefined || confDir === undefined) {
    throw cniErrors.AMBIT_CNI_CONFIG_INVALID('--cni-bin-dir and --cni-conf-dir must be given together');
  }
  const { makeInstaller } = await import('./install/make-installer.ts');
  const common = { binDir, confDir, runDir: dirname(pluginSocket), ownConflist, settings };
  return (metrics) => makeInstaller({ ...common, client, namespace: ownNamespace(), metrics });
}

/** Where nothing was installed there is no DaemonSet either. */
async function isRemoved(client: KubeClient, { node, cniBinDir }: Flags): Promise<boolean> {
  if (cniBinDir === undefined) return false;
  const { isBeingRemoved } = await import('./install/removal.ts');
  return isBeingRemoved(client, { namespace: ownNamespace(), daemonSet: DAEMON_SET, node });
}

function ownNamespace(): string {
  return process.env.POD_NAMESPACE ?? DEFAULT_NAMESPACE;
}

async function endOnError(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (thrown) {
    const detail = thrown instanceof AmbitError ? { code: thrown.code, hint: thrown.hint } : {};
    log.error(messageOf(thrown), detail);
    flushLog();
    exitProcess(1);
  }
}
