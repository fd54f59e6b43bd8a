/** `ambit controlplane`: the control plane as a process. */

import { hostname } from 'node:os';
import { Command, CommanderError, Option, type OutputConfiguration } from 'commander';
import { AmbitError, messageOf } from '../base/errors.ts';
import { exitProcess } from '../sys/process-exit.ts';
import { flushLog, logger } from '../telemetry/log.ts';
import { DEFAULT_TRUSTED_NODE_ACCOUNTS } from './ca/node-authorization.ts';
import { DEFAULT_AUDIENCES } from './ca/token-review-verifier.ts';
import {
  type CommonConfig,
  type ControlPlaneConfig,
  DEFAULT_NAMESPACE,
  defaultServingNames,
  parseListenAddress,
  servingNamesOf,
} from './config.ts';
import { ControlPlaneServer } from './control-plane-server.ts';
import { controlPlaneErrors } from './errors.ts';

const log = logger('controlplane');

/** sysexits.h: the command line cannot be used. */
const EXIT_USAGE = 64;

/** What commander makes of flags and environment. */
interface Flags {
  readonly objects?: string;
  readonly caDir?: string;
  readonly tokenKey?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace: string;
  readonly identity: string;
  readonly caSecret: string;
  readonly tokenAudience: readonly string[];
  readonly listen: string;
  readonly http: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly network: string;
  readonly rootNamespace: string;
  readonly servingName: readonly string[];
  readonly trustedNodeAccount: readonly string[];
}

/** Runs until SIGTERM or SIGINT, then ends the process. */
export async function runControlplane(argv: readonly string[]): Promise<void> {
  try {
    const config = parseControlPlaneFlags(argv);
    const end = untilSignal();
    const starting = ControlPlaneServer.start(config);
    // Who is told to stop before everything is there has nothing to hand over.
    const first = await Promise.race([starting, end]);
    if (typeof first !== 'string') {
      await using _server = first;
      log.info('stopping', { signal: await end });
    }
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
  const flags = program.exitOverride().parse(argv, { from: 'user' }).opts<Flags>();
  return flags.objects === undefined ? kubernetesConfig(flags) : folderConfig(flags.objects, flags);
}

function commonConfig(flags: Flags): CommonConfig {
  const { trustDomain, clusterId, clusterDomain, network, rootNamespace, namespace } = flags;
  return {
    trustDomain,
    clusterId,
    clusterDomain,
    network,
    rootNamespace,
    listen: parseListenAddress(flags.listen),
    http: parseListenAddress(flags.http),
    servingNames: servingNamesOf(flags.servingName, namespace),
    trustedNodeAccounts:
      flags.trustedNodeAccount.length > 0
        ? flags.trustedNodeAccount
        : [...new Set([...DEFAULT_TRUSTED_NODE_ACCOUNTS, `${namespace}/ambit-ztunnel`])],
  };
}

function folderConfig(objects: string, flags: Flags): ControlPlaneConfig {
  const { caDir, tokenKey } = flags;
  if (caDir !== undefined && tokenKey !== undefined) {
    return { kind: 'folder', objects, caDir, tokenKey, ...commonConfig(flags) };
  }
  const missing = caDir === undefined ? '--ca-dir' : '--token-key';
  throw controlPlaneErrors.AMBIT_CONTROLPLANE_CONFIG_INVALID(`--objects needs ${missing} as well`);
}

function kubernetesConfig(flags: Flags): ControlPlaneConfig {
  const { kubeconfig, context, namespace, identity, caSecret, tokenAudience } = flags;
  return {
    kind: 'kubernetes',
    kubeconfig,
    context,
    namespace,
    identity,
    caSecret,
    tokenAudiences: tokenAudience.length > 0 ? tokenAudience : DEFAULT_AUDIENCES,
    ...commonConfig(flags),
  };
}

function makeProgram(): Command {
  const program = new Command('ambit controlplane').description(
    'reads Kubernetes objects, serves the mesh to its proxies, and signs their certificates',
  );
  for (const [flag, description, env, fallback] of OPTIONS) {
    program.addOption(new Option(flag, description).env(env).default(fallback));
  }
  for (const [flag, description, env] of LISTS) program.addOption(listOption(flag, description, env));
  return program;
}

function listOption(flag: string, description: string, env: string): Option {
  return new Option(flag, `${description}; repeatable`)
    .env(env)
    .argParser<readonly string[]>((value, before) => [...before, ...value.split(',')])
    .default([]);
}

/** Flag, what it means, its environment variable: each may be given several times, or with commas. */
const LISTS: readonly (readonly [string, string, string])[] = [
  [
    '--serving-name <name>',
    `further DNS name or IP beside ${defaultServingNames(DEFAULT_NAMESPACE).join(', ')}`,
    'AMBIT_SERVING_NAMES',
  ],
  [
    '--token-audience <name>',
    `audience of the tokens of callers (default ${DEFAULT_AUDIENCES.join(', ')})`,
    'AMBIT_TOKEN_AUDIENCES',
  ],
  [
    '--trusted-node-account <namespace/name>',
    `service account of node proxies (default ${DEFAULT_TRUSTED_NODE_ACCOUNTS.join(', ')})`,
    'CA_TRUSTED_NODE_ACCOUNTS',
  ],
];

/** Flag, what it means, its environment variable, its default. */
const OPTIONS: readonly (readonly [string, string, string, string?])[] = [
  [
    '--objects <dir>',
    'folder of Kubernetes objects in YAML or JSON, instead of an API server',
    'AMBIT_OBJECTS',
  ],
  ['--ca-dir <dir>', 'with --objects: folder of the CA; root-cert.pem is published in it', 'AMBIT_CA_DIR'],
  ['--token-key <file>', 'with --objects: public key of service account tokens', 'AMBIT_TOKEN_KEY'],
  ['--kubeconfig <file>', 'of the API server; in a pod its service account is used', 'AMBIT_KUBECONFIG'],
  ['--context <name>', 'of the kubeconfig', 'AMBIT_CONTEXT'],
  ['--namespace <name>', 'where the mesh is installed', 'POD_NAMESPACE', DEFAULT_NAMESPACE],
  ['--identity <name>', 'of this replica: the name of its pod', 'POD_NAME', hostname()],
  ['--ca-secret <name>', 'Secret with the CA; made when it is missing', 'AMBIT_CA_SECRET', 'ambit-ca'],
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
