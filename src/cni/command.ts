/** `ambit cni`: the node agent as a process, and `ambit cni cleanup`, which takes away what it has put on a node. */

import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { AmbitError, messageOf } from '../base/errors.ts';
import { exitProcess } from '../sys/process-exit.ts';
import { flushLog, logger } from '../telemetry/log.ts';
import { cleanUp } from './cleanup.ts';
import { DEFAULT_ENABLEMENT_SELECTORS, parseEnablementSelectors } from './enablement-selector.ts';
import { cniErrors } from './errors.ts';
import { NodeAgent } from './node-agent.ts';
import { hasObjects, openObjects } from './open-objects.ts';

/** What commander makes of flags and environment. */
interface Flags {
  readonly objects?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly node: string;
  readonly zds: string;
  readonly pluginSocket: string;
  readonly netnsDir: string;
  readonly hostNetns?: string;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly excludeNamespaces: string;
  readonly enablementSelectors?: string;
  readonly dnsCapture: string;
  readonly clusterDomain: string;
  readonly iptables?: string;
}

const log = logger('cni');

/** Runs until SIGTERM or SIGINT, then ends the process; what is in force in pods and on the node stays. */
export async function runCni(argv: readonly string[]): Promise<void> {
  const program = new Command('ambit cni')
    .description('the node agent of the mesh')
    .option(
      '--objects <dir>',
      'folder of Kubernetes objects in YAML; without it they are read from the API server',
    )
    .option('--kubeconfig <file>', 'of the API server; in a pod its service account is the default')
    .option('--context <name>', 'of the kubeconfig')
    .addOption(new Option('--node <name>', 'name of this node').env('NODE_NAME').default(hostname()))
    .addOption(
      new Option('--netns-dir <dir>', 'where container runtimes mount network namespaces')
        .env('NETNS_DIR')
        .default('/var/run/netns'),
    )
    .addOption(
      new Option('--host-netns <path>', 'the node’s network namespace, if not our own').env('HOST_NETNS'),
    )
    .addOption(
      new Option('--iptables <flavour>', 'instead of what the node uses')
        .env('AMBIT_IPTABLES')
        .choices(['nft', 'legacy']),
    )
    .addOption(
      new Option('--zds <path>', 'socket that ztunnels connect to')
        .env('ZTUNNEL_UDS_ADDRESS')
        .default('/var/run/ztunnel/ztunnel.sock'),
    )
    .addOption(
      new Option('--plugin-socket <path>', 'socket that the CNI plugin connects to')
        .env('PLUGIN_SOCKET')
        .default('/var/run/istio-cni/pluginevent.sock'),
    )
    .addOption(
      portOption('--health-port <port>', 'for /healthz, /readyz and /enrolment', 'HEALTH_PORT', 8000),
    )
    .addOption(portOption('--metrics-port <port>', 'for /metrics', 'METRICS_PORT', 15014))
    .addOption(
      new Option('--exclude-namespaces <names>', 'namespaces whose pods stay out, separated by commas')
        .env('EXCLUDE_NAMESPACES')
        .default('kube-system'),
    )
    .addOption(
      new Option(
        '--enablement-selectors <json>',
        'list of {podSelector, namespaceSelector} instead of the default',
      ).env('AMBIENT_ENABLEMENT_SELECTORS'),
    )
    .addOption(
      new Option('--dns-capture <bool>', 'capture DNS of pods that do not say')
        .env('AMBIENT_DNS_CAPTURE')
        .choices(['true', 'false'])
        .default('true'),
    )
    .addOption(
      new Option('--cluster-domain <name>', 'DNS domain of the cluster')
        .env('CLUSTER_DOMAIN')
        .default('cluster.local'),
    )
    .action((flags: Flags) => runAgent(flags));
  program
    .command('cleanup')
    .description('remove all redirection from the pods and the node; takes the same options')
    .action((_flags: Flags, command: Command) => runCleanup(command.optsWithGlobals()));
  await endOnError(() => program.parseAsync(argv, { from: 'user' }));
}

function portOption(flag: string, description: string, env: string, fallback: number): Option {
  return new Option(flag, description).env(env).default(fallback).argParser(parsePort);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw cniErrors.AMBIT_CNI_CONFIG_INVALID(`${text} is not a port`);
}

async function runAgent(flags: Flags): Promise<void> {
  const source = await openObjects(flags);
  const { enablementSelectors } = flags;
  const selectors =
    enablementSelectors === undefined
      ? DEFAULT_ENABLEMENT_SELECTORS
      : parseEnablementSelectors(enablementSelectors);
  const agent = new NodeAgent({
    source,
    node: flags.node,
    settings: {
      selectors,
      excludedNamespaces: flags.excludeNamespaces.split(',').map((name) => name.trim()),
    },
    dnsCapture: flags.dnsCapture === 'true',
    clusterDomain: flags.clusterDomain,
    zdsPath: flags.zds,
    pluginPath: flags.pluginSocket,
    netnsFolder: flags.netnsDir,
    hostNetnsPath: flags.hostNetns,
    iptables: flags.iptables,
    healthPort: flags.healthPort,
    metricsPort: flags.metricsPort,
  });
  const end = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  const start = agent.start();
  await Promise.race([start.then(() => end), end]);
  agent.stop();
  log.info('stopped; redirection stays in force');
  flushLog();
  exitProcess(0);
}

async function runCleanup(flags: Flags): Promise<void> {
  const failures = await cleanUp({
    netnsFolder: flags.netnsDir,
    hostNetnsPath: flags.hostNetns,
    iptables: flags.iptables,
    node: flags.node,
    source: hasObjects(flags) ? await openObjects(flags) : undefined,
  });
  flushLog();
  exitProcess(failures === 0 ? 0 : 1);
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
