/** The flags of `ambit ztunnel-config`. */

import { type Command, Option } from 'commander';
import type { NodeAdmin } from '../admin-source.ts';
import type { ConfigOptions } from '../ztunnel-config.ts';
import { addSourceOptions, type SourceOptions, withProxies } from './proxy-source.ts';

type LogOptions = SourceOptions & ConfigOptions & { readonly level?: string; readonly reset?: boolean };

/** Verbs have options of their own, which commander has checked. */
type Show<Options> = (admins: NodeAdmin[], options: Options) => Promise<void>;

export function addZtunnelConfigCommand(program: Command): void {
  const group = program
    .command('ztunnel-config')
    .alias('zc')
    .description('what a node proxy is configured with');
  const show = () => import('../ztunnel-config.ts');
  verb(group, 'workload', 'workloads of the mesh', async ([admin], options) =>
    (await show()).showWorkloads(admin!, options),
  )
    .option('--address <ip>', 'only the one with this address')
    .option('--workload-node <node>', 'only those of this node')
    .option('--workload-namespace <namespace>', 'only those of this namespace');
  verb(group, 'service', 'services of the mesh', async ([admin], options) =>
    (await show()).showServices(admin!, options),
  ).option('--service-namespace <namespace>', 'only those of this namespace');
  verb(group, 'policy', 'authorization policies', async ([admin], options) =>
    (await show()).showPolicies(admin!, options),
  ).option('--policy-namespace <namespace>', 'only those of this namespace');
  verb(group, 'certificate', 'certificates of the pods of the node', async (admins, options) =>
    (await show()).showCertificates(admins, options),
  );
  verb(group, 'connections', 'open connections of the pods of the node', async (admins, options) =>
    (await show()).showConnections(admins, options),
  )
    .addOption(new Option('--direction <direction>', 'only these').choices(['inbound', 'outbound']))
    .option('--workload-namespace <namespace>', 'only those of pods of this namespace')
    .option('--raw', 'addresses instead of names');
  verb(
    group,
    'log',
    'log levels: shown, or changed with --level or --reset',
    async (admins, options: LogOptions) => (await show()).changeLogLevels(admins, options),
  )
    .option('--level <levels>', 'such as debug, or access=debug,info')
    .option('-r, --reset', 'set them back');
}

function verb<Options extends SourceOptions & ConfigOptions>(
  group: Command,
  name: string,
  description: string,
  show: Show<Options>,
): Command {
  const command = group
    .command(name)
    .description(description)
    .argument('[pod]', 'a proxy, or a pod whose node’s proxy is meant; every proxy when absent')
    .option('-n, --namespace <name>', 'namespace of that pod (default "default")');
  return addSourceOptions(command).action((pod: string | undefined, options: Options) =>
    withProxies(options, pod, (admins) => show(admins, options)),
  );
}
