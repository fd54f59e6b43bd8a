/** Finds the iptables programs to use: one flavour for the whole node, the one that the node itself uses. */

import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { logger } from '../telemetry/log.ts';
import { cniErrors } from './errors.ts';
import { parseIptablesSave, type SavedTables } from './iptables-save.ts';
import { type Program, type ProgramResult, runPrograms } from './run-programs.ts';

export const IPTABLES_FLAVOURS = ['nft', 'legacy'] as const;
export type IptablesFlavour = (typeof IPTABLES_FLAVOURS)[number];

export interface IptablesPair {
  readonly save: string;
  readonly restore: string;
}

export interface IptablesTools {
  readonly flavour: IptablesFlavour;
  readonly v4: IptablesPair;
  /** Absent where only the IPv4 programs are installed. */
  readonly v6: IptablesPair | undefined;
}

/** The programs to use, and those of the other flavour, in which an earlier agent may have left rules. */
export interface IptablesChoice {
  readonly preferred: IptablesTools;
  readonly other: IptablesTools | undefined;
}

const log = logger('cni');
const PROGRAM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
/** Chains that kubelet and kube-proxy make so that others can see which flavour the node uses. */
const HINT_CHAINS = ['KUBE-IPTABLES-HINT', 'KUBE-KUBELET-CANARY', 'KUBE-PROXY-CANARY'];

/**
 * Chooses by, in this order: what the operator asks for, what is installed, kubelet's hint chains on the host,
 * rules of any kind on the host, nft.
 * @param host the namespace whose rules are looked at; the present one when absent
 * @throws AMBIT_CNI_NO_IPTABLES, AMBIT_CNI_CONFIG_INVALID
 */
export async function chooseIptables(
  asked: string | undefined,
  host?: NetworkNamespace,
): Promise<IptablesChoice> {
  if (asked !== undefined && !(IPTABLES_FLAVOURS as readonly string[]).includes(asked)) {
    throw cniErrors.AMBIT_CNI_CONFIG_INVALID(
      `iptables flavour ${asked} is none of ${IPTABLES_FLAVOURS.join(', ')}`,
    );
  }
  const nft = toolsOf('nft');
  const legacy = toolsOf('legacy');
  if (nft === undefined || legacy === undefined)
    return choiceOfOne(nft ?? legacy ?? (await unnamedTools()), asked);
  const flavour = asked ?? (await flavourInUse(nft, legacy, host));
  log.info('iptables flavour chosen', { flavour, asked: asked !== undefined });
  return flavour === 'nft' ? { preferred: nft, other: legacy } : { preferred: legacy, other: nft };
}

function choiceOfOne(tools: IptablesTools | undefined, asked: string | undefined): IptablesChoice {
  if (tools === undefined || (asked !== undefined && tools.flavour !== asked)) {
    throw cniErrors.AMBIT_CNI_NO_IPTABLES(
      `no iptables${asked === undefined ? '' : `-${asked}`} programs were found in ${PROGRAM_FOLDERS.join(', ')}`,
    );
  }
  log.info('iptables flavour chosen', { flavour: tools.flavour, asked: asked !== undefined });
  return { preferred: tools, other: undefined };
}

async function flavourInUse(
  nft: IptablesTools,
  legacy: IptablesTools,
  host: NetworkNamespace | undefined,
): Promise<IptablesFlavour> {
  const programs = [nft, legacy].flatMap((tools) => [tools.v4, tools.v6].map(saveProgram));
  const results = await runPrograms(programs, host);
  const [nftTables, legacyTables] = [results.slice(0, 2), results.slice(2)].map((pair) =>
    pair.map(tablesOf),
  ) as [SavedTables[], SavedTables[]];
  if (nftTables.some(hasHintChain)) return 'nft';
  if (legacyTables.some(hasHintChain)) return 'legacy';
  return legacyTables.some(hasRules) && !nftTables.some(hasRules) ? 'legacy' : 'nft';
}

function saveProgram(pair: IptablesPair | undefined): Program {
  return { argv: [pair?.save ?? 'true'] };
}

function tablesOf(result: ProgramResult): SavedTables {
  return result.status === 0 ? parseIptablesSave(result.stdout) : new Map();
}

function hasHintChain(tables: SavedTables): boolean {
  return [...tables.values()].some((chains) => HINT_CHAINS.some((name) => chains.has(name)));
}

function hasRules(tables: SavedTables): boolean {
  return [...tables.values()].some((chains) => [...chains.values()].some((rules) => rules.length > 0));
}

function toolsOf(flavour: IptablesFlavour): IptablesTools | undefined {
  const v4 = pairOf(`iptables-${flavour}`);
  return v4 === undefined ? undefined : { flavour, v4, v6: pairOf(`ip6tables-${flavour}`) };
}

/** Images with one flavour only may have it without a suffix. */
async function unnamedTools(): Promise<IptablesTools | undefined> {
  const v4 = pairOf('iptables');
  if (v4 === undefined) return undefined;
  const [version] = await runPrograms([{ argv: [v4.save, '--version'] }]);
  return { flavour: version!.stdout.includes('nf_tables') ? 'nft' : 'legacy', v4, v6: pairOf('ip6tables') };
}

function pairOf(prefix: string): IptablesPair | undefined {
  const save = findProgram(`${prefix}-save`);
  const restore = findProgram(`${prefix}-restore`);
  return save === undefined || restore === undefined ? undefined : { save, restore };
}

function findProgram(name: string): string | undefined {
  return PROGRAM_FOLDERS.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
