/** The flags of `ambit install`, `ambit upgrade` and `ambit uninstall`. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { VERSION } from '../../base/version.ts';
import type { JsonObject } from '../../install/manifest.ts';
import type { Cluster } from '../cluster/cluster.ts';
import {
  addConnectionOptions,
  type ClusterOptions,
  meshNamespaceOption,
  parseDuration,
} from '../cluster/cluster-options.ts';
import { isKubeObject, type KubeObject } from '../cluster/kube-types.ts';
import { errors } from '../errors.ts';
import type { InstallSettings } from '../install/install.ts';
import { progressOn } from '../install/progress.ts';
import type { ValueFlags } from '../install/value-flags.ts';

interface Flags extends Omit<ClusterOptions, 'meshNamespace'> {
  /** Of the mesh. */
  readonly namespace: string;
  readonly timeout: number;
}

interface InstallFlags extends Flags, ValueFlags {
  readonly dryRun?: boolean | 'client' | 'server';
  readonly output: 'yaml' | 'json';
  readonly forceConflicts?: boolean;
  readonly wait: boolean;
}

interface UninstallFlags extends Flags {
  readonly yes?: boolean;
  readonly purge?: boolean;
}

const DEFAULT_TIMEOUT_MS = 300_000;

export function addInstallCommands(program: Command): void {
  addInstall(program);
  addUpgrade(program);
  addUninstall(program);
}

function addInstall(program: Command): void {
  const command = program
    .command('install')
    .description('installs the mesh, and waits until it is ready on every node');
  addMeshOptions(command)
    .option('--no-wait', 'do not wait until it is ready')
    .action(async (flags: InstallFlags) => {
      if (isClientDryRun(flags)) return printObjects(await objectsOf(flags, {}), flags);
      const { install } = await import('../install/install.ts');
      const { readStoredValues } = await import('../install/stored-values.ts');
      await withCluster(flags, async (cluster) =>
        install(cluster, await objectsOf(flags, await readStoredValues(cluster)), settingsOf(flags)),
      );
    });
}

function addUpgrade(program: Command): void {
  const command = program
    .command('upgrade')
    .description(`upgrades the mesh to ${VERSION}: control plane, agents, proxies, each waited for`);
  addMeshOptions(command).action(async (flags: InstallFlags) => {
    if (isClientDryRun(flags)) return printObjects(await objectsOf(flags, {}), flags);
    const { upgrade } = await import('../install/install.ts');
    await withCluster(flags, async (cluster) => {
      const objects = await upgradedObjects(cluster, flags);
      await upgrade(cluster, { objects, version: VERSION }, settingsOf(flags));
    });
  });
}

function addUninstall(program: Command): void {
  const command = program
    .command('uninstall')
    .description('takes the mesh out of the cluster: pods and nodes are cleaned, labels and policies stay')
    .option('-y, --yes', 'do not ask')
    .option('--purge', 'delete the resource definitions too, and with them every policy of every user');
  addCommonOptions(command).action(async (flags: UninstallFlags) => {
    await confirm(flags);
    const { uninstall } = await import('../uninstall/uninstall.ts');
    const progress = progressOn(process.stderr);
    const { timeout: timeoutMs, purge = false } = flags;
    await withCluster(flags, (cluster) => uninstall(cluster, { progress, timeoutMs, purge }));
  });
}

function addCommonOptions(command: Command): Command {
  return addConnectionOptions(command)
    .addOption(meshNamespaceOption('-n, --namespace <name>'))
    .addOption(
      new Option('--timeout <duration>', 'how long each step may take')
        .argParser(parseDuration)
        .default(DEFAULT_TIMEOUT_MS, '5m'),
    );
}

function addMeshOptions(command: Command): Command {
  return addCommonOptions(command)
    .option('--image <image>', `instead of ambit:${VERSION}`)
    .addOption(new Option('--replicas <count>', 'of the control plane').argParser(parseCount))
    .option('--trust-domain <name>', 'of all identities (default cluster.local)')
    .option('--root-namespace <name>', 'whose policies hold for the whole mesh (default istio-system)')
    .addOption(repeatable('--set <name=value>', 'any setting of docs/install.md; repeatable'))
    .addOption(repeatable('-f, --values <path>', 'a file of settings; repeatable'))
    .option('--force-conflicts', 'take over fields that others manage')
    .addOption(
      new Option('--dry-run [where]', 'print the objects, or have the server check them').choices([
        'client',
        'server',
      ]),
    )
    .addOption(new Option('-o, --output <format>', 'of a dry run').choices(['yaml', 'json']).default('yaml'));
}

function repeatable(flags: string, description: string): Option {
  return new Option(flags, description).argParser<readonly string[]>((value, before = []) => [
    ...before,
    value,
  ]);
}

function parseCount(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is no count from 1 to 99.');
}

/** With the settings of the installation, over which the flags go. */
async function upgradedObjects(cluster: Cluster, flags: InstallFlags): Promise<KubeObject[]> {
  const { installedVersion } = await import('../install/install.ts');
  const { checkImage, readStoredValues } = await import('../install/stored-values.ts');
  const { readValues } = await import('../install/value-flags.ts');
  const stored = await readStoredValues(cluster);
  if ((await installedVersion(cluster)) !== VERSION) checkImage(stored, readValues(flags));
  return objectsOf(flags, stored);
}

/** @param stored settings of an installation that is there */
async function objectsOf(flags: InstallFlags, stored: JsonObject): Promise<KubeObject[]> {
  const { renderManifests } = await import('../../install/render-manifests.ts');
  const { inApplyOrder } = await import('../install/apply-order.ts');
  const { readValues } = await import('../install/value-flags.ts');
  const { valuesConfigMap } = await import('../install/stored-values.ts');
  const values = readValues(flags, stored);
  const manifests = renderManifests({ namespace: flags.namespace, values });
  return inApplyOrder([...manifests.filter(isKubeObject), valuesConfigMap(flags.namespace, values)]);
}

function isClientDryRun({ dryRun }: InstallFlags): boolean {
  return dryRun === true || dryRun === 'client';
}

async function printObjects(objects: readonly KubeObject[], { output }: InstallFlags): Promise<void> {
  if (output === 'json') {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    process.stdout.write(`${JSON.stringify(list, null, 2)}\n`);
    return;
  }
  const { stringify } = await import('yaml');
  for (const object of objects) process.stdout.write(`---\n${stringify(object, { lineWidth: 0 })}`);
}

function settingsOf({ timeout, wait = true, forceConflicts = false, dryRun }: InstallFlags): InstallSettings {
  return {
    progress: progressOn(process.stderr),
    timeoutMs: timeout,
    wait,
    force: forceConflicts,
    dryRun: dryRun === 'server',
  };
}

async function withCluster(flags: Flags, use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const { openCluster } = await import('../cluster/open-cluster.ts');
  const cluster = await openCluster({ ...flags, meshNamespace: flags.namespace });
  try {
    await use(cluster);
  } finally {
    await cluster.close();
  }
}

/** @throws AmbitError AMBIT_CLI_USAGE where nobody can be asked, or nobody agrees */
async function confirm({ yes, purge, namespace }: UninstallFlags): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY) throw errors.AMBIT_CLI_USAGE('nobody can be asked here: give --yes');
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const what = purge
    ? `the mesh in ${namespace}, and every policy of every user`
    : `the mesh in ${namespace}`;
  const answer = await terminal.question(`Remove ${what}? [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw errors.AMBIT_CLI_USAGE('nothing was removed');
}
