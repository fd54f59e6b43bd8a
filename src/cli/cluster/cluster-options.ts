/** The flags of every command that talks to a cluster, as kubectl has them. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_MESH_NAMESPACE } from './mesh-names.ts';

export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly requestTimeout?: number;
  /** Every request is told on stderr. */
  readonly verbose?: boolean;
  readonly meshNamespace: string;
}

/** Adds the flags of the connection, without that of the mesh's namespace. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option('--kubeconfig <path>', 'instead of $KUBECONFIG or ~/.kube/config')
    .option('--context <name>', 'of the kubeconfig, instead of its current one')
    .addOption(
      new Option('--request-timeout <duration>', 'for each request, such as 10s').argParser(parseDuration),
    )
    .option('-v, --verbose', 'tell every request to the API server on stderr');
}

export function addClusterOptions(command: Command): Command {
  return addConnectionOptions(command).addOption(meshNamespaceOption('--mesh-namespace <name>'));
}

export function meshNamespaceOption(flags: string): Option {
  return new Option(flags, 'namespace of the mesh itself')
    .env('AMBIT_NAMESPACE')
    .default(DEFAULT_MESH_NAMESPACE);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `90s`, `5m12s`, `1h30m`: as Go writes durations; a bare number is seconds. @returns milliseconds */
export function parseDuration(text: string): number {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new InvalidArgumentError('It is no duration, such as 90s or 5m.');
  }
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit!]!, 0);
}
