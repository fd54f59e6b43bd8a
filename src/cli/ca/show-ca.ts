/** `ambit ca status`: whose key signs, which roots are trusted, and how far a rotation is. */

import type { Cluster } from '../cluster/cluster.ts';
import { type Column, formatTable, formatValue, type OutputFormat } from '../printer.ts';
import { type CaCertificate, type CaReport, readCa } from './ca-secret.ts';

export interface ShowCaOptions {
  readonly caSecret: string;
  readonly output: OutputFormat;
  readonly headers: boolean;
}

/** Characters of a fingerprint that tell two roots apart at a glance. */
const SHOWN_FINGERPRINT = 23;

const COLUMNS: readonly Column<CaCertificate>[] = [
  { header: 'CERTIFICATE', value: ({ subject }) => subject },
  { header: 'ROLE', value: ({ role }) => role },
  { header: 'SHA-256', value: ({ sha256 }) => `${sha256.slice(0, SHOWN_FINGERPRINT)}…` },
  { header: 'EXPIRES', value: ({ expires }) => expires },
];

/** @throws as {@link readCa} */
export async function showCa(cluster: Cluster, options: ShowCaOptions): Promise<void> {
  process.stdout.write(await formatCa(await readCa(cluster, options.caSecret), options));
}

export async function formatCa(
  report: CaReport,
  { output, headers }: Pick<ShowCaOptions, 'output' | 'headers'>,
): Promise<string> {
  if (output !== 'table') return formatValue(report, output);
  return `${sentenceOf(report)}\n${formatTable(report.certificates, COLUMNS, headers)}`;
}

function sentenceOf({ key, rotation, nextStep, secret }: CaReport): string {
  if (key === 'given') return `Secret ${secret} was given by others, who rotate it.`;
  switch (rotation) {
    case 'introduced':
      return `A new root is being introduced: proxies trust both, the old one signs until ${nextStep}.`;
    case 'switched':
      return `The new root signs: the old one is trusted until ${nextStep}.`;
    default:
      return 'No rotation is under way.';
  }
}
