/** The flags that say which node proxies a command reads, and the proxies that they mean. */

import { type Command, Option } from 'commander';
import { directAdmin, fileAdmin, type NodeAdmin } from '../admin-source.ts';
import { addClusterOptions, type ClusterOptions } from '../cluster/cluster-options.ts';
import { errors } from '../errors.ts';
import { addOutputOptions } from './program-options.ts';

export interface SourceOptions extends ClusterOptions {
  readonly sandbox?: string;
  readonly admin?: string;
  readonly file?: string;
  readonly node?: string;
  /** Of the pod that is named. */
  readonly namespace?: string;
}

export function addSourceOptions(command: Command): Command {
  command
    .addOption(new Option('--sandbox <name>', 'a sandbox on this machine').env('AMBIT_SANDBOX'))
    .option('--admin <host:port>', 'one proxy whose admin API can be reached from here')
    .option('-f, --file <path>', 'a saved /config_dump instead of a running proxy')
    .option('--node <node>', 'only the proxy of this node');
  return addOutputOptions(addClusterOptions(command));
}

/**
 * Calls back with every proxy that the flags mean: of a file, an address, a sandbox, else of the cluster.
 * @param pod a proxy, or a pod whose node's proxy is meant
 */
export async function withProxies(
  options: SourceOptions,
  pod: string | undefined,
  use: (admins: NodeAdmin[]) => Promise<void>,
): Promise<void> {
  if (options.file !== undefined) return use([fileAdmin(options.file)]);
  if (options.admin !== undefined) return use([directAdmin(options.admin)]);
  if (options.sandbox !== undefined) return use(await proxiesOfSandbox(options.sandbox, options.node));
  const { openCluster } = await import('../cluster/open-cluster.ts');
  const { clusterAdmins } = await import('../cluster/cluster-admins.ts');
  const cluster = await openCluster(options);
  try {
    await use(await clusterAdmins(cluster, { node: options.node, namespace: options.namespace, pod }));
  } finally {
    await cluster.close();
  }
}

async function proxiesOfSandbox(name: string, node: string | undefined): Promise<NodeAdmin[]> {
  const { sandboxAdmins } = await import('../sandbox-admin.ts');
  const admins = await sandboxAdmins(name);
  const wanted = admins.filter((admin) => node === undefined || admin.node === node);
  if (wanted.length > 0) return wanted;
  throw errors.AMBIT_CLI_UNREACHABLE(`sandbox ${name} runs no proxy on ${node ?? 'any node'}`);
}
