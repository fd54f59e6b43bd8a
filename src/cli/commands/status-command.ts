/** The flags of `ambit status`. */

import type { Command } from 'commander';
import type { ConfigOptions } from '../ztunnel-config.ts';
import { addSourceOptions, type SourceOptions, withProxies } from './proxy-source.ts';

export function addStatusCommand(program: Command): void {
  const command = program
    .command('status')
    .description('what the agent and the proxy of every node know and do');
  addSourceOptions(command).action(async (options: SourceOptions & ConfigOptions) => {
    if (options.file ?? options.admin ?? options.sandbox) {
      const { showStatus } = await import('../status.ts');
      return withProxies(options, undefined, (admins) => showStatus(admins, options));
    }
    const { openCluster } = await import('../cluster/open-cluster.ts');
    const { showClusterStatus } = await import('../cluster-status.ts');
    const cluster = await openCluster(options);
    try {
      await showClusterStatus(cluster, options);
    } finally {
      await cluster.close();
    }
  });
}
