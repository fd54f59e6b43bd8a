/** The flags of `ambit version`. */

import { type Command, Option } from 'commander';
import { addClusterOptions, type ClusterOptions } from '../cluster/cluster-options.ts';
import { formatValue } from '../printer.ts';
import { clientVersion, formatVersions, type Versions, versionsOf } from '../versions.ts';

interface VersionOptions extends ClusterOptions {
  readonly client?: boolean;
  readonly output?: 'json' | 'yaml';
}

export function addVersionCommand(program: Command): void {
  const command = program
    .command('version')
    .description('the version of this command and of the parts in the cluster')
    .option('--client', 'only that of this command')
    .addOption(new Option('-o, --output <format>', 'for programs').choices(['json', 'yaml']));
  addClusterOptions(command).action(async (options: VersionOptions) => {
    if (options.client) return show(clientVersion(), options);
    try {
      await show(await serverVersions(options), options);
    } catch (thrown) {
      // What can be told is told, before the reason why the rest cannot.
      await show(clientVersion(), options);
      throw thrown;
    }
  });
}

async function serverVersions(options: ClusterOptions): Promise<Versions> {
  const { openCluster } = await import('../cluster/open-cluster.ts');
  const cluster = await openCluster(options);
  try {
    return await versionsOf(cluster);
  } finally {
    await cluster.close();
  }
}

async function show(versions: Versions, { output }: VersionOptions): Promise<void> {
  process.stdout.write(output === undefined ? formatVersions(versions) : await formatValue(versions, output));
}
