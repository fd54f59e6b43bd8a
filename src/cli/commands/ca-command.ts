/** The flags of `ambit ca`. */

import { type Command, Option } from 'commander';
import { DEFAULT_CA_SECRET } from '../ca/ca-secret.ts';
import type { ShowCaOptions } from '../ca/show-ca.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { addClusterOptions, type ClusterOptions, parseDuration } from '../cluster/cluster-options.ts';
import { addOutputOptions } from './program-options.ts';

/** A control plane that runs takes a request up within a second or two. */
const DEFAULT_TIMEOUT_MS = 60_000;

type Options = ClusterOptions & ShowCaOptions;

export function addCaCommand(program: Command): void {
  const group = program.command('ca').description('the certificate authority of the mesh');
  added(group, 'status', 'whose key signs, which roots are trusted, how far a rotation is').action(
    (options: Options) =>
      withCluster(options, async (cluster) => {
        const { showCa } = await import('../ca/show-ca.ts');
        await showCa(cluster, options);
      }),
  );
  added(group, 'rotate', 'replace the root, with a time of overlap in which both are trusted')
    .addOption(
      new Option('--timeout <duration>', 'for the beginning of it')
        .argParser(parseDuration)
        .default(DEFAULT_TIMEOUT_MS, '60s'),
    )
    .action((options: Options & { readonly timeout: number }) =>
      withCluster(options, async (cluster) => {
        const { rotateCa } = await import('../ca/rotate-ca.ts');
        const { formatCa } = await import('../ca/show-ca.ts');
        process.stdout.write(await formatCa(await rotateCa(cluster, options), options));
      }),
    );
}

function added(group: Command, name: string, description: string): Command {
  const command = addOutputOptions(addClusterOptions(group.command(name).description(description)));
  return command.option('--ca-secret <name>', 'Secret with the CA', DEFAULT_CA_SECRET);
}

async function withCluster(options: Options, act: (cluster: Cluster) => Promise<void>): Promise<void> {
  const { openCluster } = await import('../cluster/open-cluster.ts');
  const cluster = await openCluster(options);
  try {
    await act(cluster);
  } finally {
    await cluster.close();
  }
}
