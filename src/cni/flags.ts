/** What can be set on the command line of `ambit cni` or in its environment. */

import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { cniErrors } from './errors.ts';

/** What commander makes of flags and environment. */
export interface Flags {
  readonly objects?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly node: string;
  readonly zds: string;
  readonly pluginSocket: string;
  readonly netnsDir: string;
  readonly hostNetns?: string;
  readonly hostProc?: string;
  readonly cniBinDir?: string;
  readonly cniConfDir?: string;
  readonly ownConflist: boolean;
  readonly removeTaint: boolean;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly excludeNamespaces: string;
  readonly enablementSelectors?: string;
  readonly dnsCapture: boolean;
  readonly clusterDomain: string;
  readonly iptables?: string;
}

/** @throws AMBIT_CNI_CONFIG_INVALID while the arguments are parsed */
export function addFlags(command: Command): Command {
  for (const option of [...objectOptions(), ...nodeOptions(), ...installOptions(), ...enrolmentOptions()]) {
    command.addOption(option);
  }
  return command;
}

function objectOptions(): Option[] {
  return [
    new Option(
      '--objects <dir>',
      'folder of Kubernetes objects in YAML; without it they are read from the API server',
    ),
    new Option('--kubeconfig <file>', 'of the API server; in a pod its service account is the default'),
    new Option('--context <name>', 'of the kubeconfig'),
    new Option('--node <name>', 'name of this node').env('NODE_NAME').default(hostname()),
  ];
}

function nodeOptions(): Option[] {
  return [
    new Option('--netns-dir <dir>', 'where container runtimes mount network namespaces')
      .env('NETNS_DIR')
      .default('/var/run/netns'),
    new Option('--host-netns <path>', 'the node’s network namespace, if not our own').env('HOST_NETNS'),
    new Option('--host-proc <dir>', 'the node’s /proc, where this process sees it').env('HOST_PROC'),
    new Option('--iptables <flavour>', 'instead of what the node uses')
      .env('AMBIT_IPTABLES')
      .choices(['nft', 'legacy']),
    new Option('--zds <path>', 'socket that ztunnels connect to')
      .env('ZTUNNEL_UDS_ADDRESS')
      .default('/var/run/ztunnel/ztunnel.sock'),
    portOption('--health-port <port>', 'for /healthz, /readyz and /enrolment', 'HEALTH_PORT', 8000),
    portOption('--metrics-port <port>', 'for /metrics', 'METRICS_PORT', 15014),
  ];
}

function installOptions(): Option[] {
  return [
    new Option('--plugin-socket <path>', 'socket that the CNI plugin connects to')
      .env('PLUGIN_SOCKET')
      .default('/var/run/istio-cni/pluginevent.sock'),
    new Option('--cni-bin-dir <dir>', 'the node’s folder of CNI plugins; without it none is installed').env(
      'CNI_BIN_DIR',
    ),
    new Option('--cni-conf-dir <dir>', 'the node’s folder of CNI configurations').env('CNI_CONF_DIR'),
    booleanOption(
      '--own-conflist [bool]',
      'a CNI configuration of our own instead of an entry in the network’s',
      'OWN_CONFLIST',
    ),
    booleanOption(
      '--remove-taint [bool]',
      'take the taint ambit.io/agent-not-ready off the node when ready',
      'REMOVE_TAINT',
    ),
  ];
}

function enrolmentOptions(): Option[] {
  return [
    new Option('--exclude-namespaces <names>', 'namespaces whose pods stay out, separated by commas')
      .env('EXCLUDE_NAMESPACES')
      .default('kube-system'),
    new Option(
      '--enablement-selectors <json>',
      'list of {podSelector, namespaceSelector} instead of the default',
    ).env('AMBIENT_ENABLEMENT_SELECTORS'),
    new Option('--dns-capture <bool>', 'capture DNS of pods that do not say')
      .env('AMBIENT_DNS_CAPTURE')
      .default(true)
      .argParser(parseBoolean),
    new Option('--cluster-domain <name>', 'DNS domain of the cluster')
      .env('CLUSTER_DOMAIN')
      .default('cluster.local'),
  ];
}

function portOption(flag: string, description: string, env: string, fallback: number): Option {
  return new Option(flag, description).env(env).default(fallback).argParser(parsePort);
}

function booleanOption(flag: string, description: string, env: string): Option {
  return new Option(flag, description).env(env).default(false).preset('true').argParser(parseBoolean);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw cniErrors.AMBIT_CNI_CONFIG_INVALID(`${text} is not a port`);
}

function parseBoolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw cniErrors.AMBIT_CNI_CONFIG_INVALID(`${text} is neither true nor false`);
}
