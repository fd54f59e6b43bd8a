/** `ambit controlplane`: the control plane as a process. */

import { Command, CommanderError, Option, type OutputConfiguration } from 'commander';
import { AmbitError, messageOf } from '../base/errors.ts';
import { exitProcess } from '../sys/process-exit.ts';
import { flushLog, logger } from '../telemetry/log.ts';
import {
  type ControlPlaneConfig,
  DEFAULT_SERVING_NAMES,
  parseListenAddress,
  servingNamesOf,
} from './config.ts';
import { ControlPlaneServer } from './control-plane-server.ts';

const log = logger('controlplane');

/** sysexits.h: the command line cannot be used. */
const EXIT_USAGE = 64;

/** What commander makes of flags and environment. */
interface Flags {
  readonly objects?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly listen: string;
  readonly http: string;
  readonly caDir: string;
  readonly tokenKey: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly network: string;
  readonly rootNamespace: string;
  readonly servingName: readonly string[];
}

/** Runs until SIGTERM or SIGINT, then ends the process. */
export async function runControlplane(argv: readonly string[]): Promise<void> {
  try {
    const config = parseControlPlaneFlags(argv);
    const end = untilSignal();
    await using _server = await ControlPlaneServer.start(config);
    log.info('stopping', { signal: await end });
  } catch (thrown) {
    fail(thrown);
  }
  flushLog();
  exitProcess(0);
}

/** Reads flags, and for those not given the environment. Throws what commander throws, or AMBIT_CONTROLPLANE_CONFIG_INVALID. */
export function parseControlPlaneFlags(
  argv: readonly string[],
  output?: OutputConfiguration,
): ControlPlaneConfig {
  const program = makeProgram();
  if (output !== undefined) program.configureOutput(output);
  const { listen, http, servingName, ...flags } = program
    .exitOverride()
    .parse(argv, { from: 'user' })
    .opts<Flags>();
  return {
    ...flags,
    listen: parseListenAddress(listen),
    http: parseListenAddress(http),
    servingNames: servingNamesOf(servingName),
  };
}

function makeProgram(): Command {
  const program = new Command('ambit controlplane')
    .description('reads Kubernetes objects, serves the mesh to its proxies, and signs their certificates')
    .addOption(
      new Option(
        '--objects <dir>',
        'folder of Kubernetes objects in YAML or JSON; without it they are read from the API server',
      ).env('AMBIT_OBJECTS'),
    )
    .option('--kubeconfig <file>', 'of the API server; in a pod its service account is the default')
    .option('--context <name>', 'of the kubeconfig')
    .addOption(
      required('--ca-dir <dir>', 'folder of the CA; root-cert.pem is published in it', 'AMBIT_CA_DIR'),
    )
    .addOption(required('--token-key <file>', 'public key of service account tokens', 'AMBIT_TOKEN_KEY'));
  for (const [flag, description, env, fallback] of OPTIONS) {
    program.addOption(new Option(flag, description).env(env).default(fallback));
  }
  return program.addOption(
    new Option(
      '--serving-name <name>',
      `further DNS name or IP beside ${DEFAULT_SERVING_NAMES.join(', ')}; repeatable`,
    )
      .env('AMBIT_SERVING_NAMES')
      .argParser<readonly string[]>((value, before) => [...before, ...value.split(',')])
      .default([]),
  );
}

/** Flag, what it means, its environment variable, its default. */
const OPTIONS: readonly (readonly [string, string, string, string])[] = [
  [
    '--listen <address>',
    'for proxies: xDS and certificates, by gRPC over TLS',
    'AMBIT_LISTEN',
    '0.0.0.0:15012',
  ],
  ['--http <address>', 'for /healthz, /readyz, /metrics and /debug', 'AMBIT_HTTP', '127.0.0.1:8080'],
  ['--trust-domain <name>', 'of all identities', 'TRUST_DOMAIN', 'cluster.local'],
  ['--cluster-id <name>', 'of this cluster', 'CLUSTER_ID', 'Kubernetes'],
  ['--cluster-domain <name>', 'DNS domain of the cluster', 'CLUSTER_DOMAIN', 'cluster.local'],
  ['--network <name>', 'of whatever does not say otherwise', 'NETWORK', ''],
  [
    '--root-namespace <name>',
    'whose policies hold for the whole mesh',
    'AMBIT_ROOT_NAMESPACE',
    'istio-system',
  ],
];

function required(flag: string, description: string, env: string): Option {
  return new Option(flag, description).env(env).makeOptionMandatory();
}

function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

/** Commander has written its own words already; `--help` is one of its errors, too. */
function fail(thrown: unknown): never {
  if (thrown instanceof CommanderError) exitProcess(thrown.exitCode === 0 ? 0 : EXIT_USAGE);
  const detail = thrown instanceof AmbitError ? { code: thrown.code, hint: thrown.hint } : {};
  log.error(messageOf(thrown), detail);
  flushLog();
  exitProcess(1);
}
