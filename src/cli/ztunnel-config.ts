/** `ambit ztunnel-config`: what a node proxy has been told and what it is doing. */

import type { NodeAdmin } from './admin-source.ts';
import { type ConfigDump, parseConfigDump } from './config-dump.ts';
import { type Column, formatTable, formatValue, type OutputFormat } from './printer.ts';
import {
  CERTIFICATE_COLUMNS,
  CONNECTION_COLUMNS,
  certificateRows,
  connectionRows,
  POLICY_COLUMNS,
  policyRows,
  SERVICE_COLUMNS,
  serviceRows,
  WORKLOAD_COLUMNS,
  workloadRows,
} from './ztunnel-tables.ts';

/** How a command prints. */
export interface ConfigOptions {
  readonly output: OutputFormat;
  readonly headers: boolean;
}

export async function showWorkloads(
  admin: NodeAdmin,
  options: ConfigOptions & { address?: string; workloadNode?: string; workloadNamespace?: string },
): Promise<void> {
  const { address, workloadNode: node, workloadNamespace: namespace } = options;
  const filter = { ...(address && { address }), ...(node && { node }), ...(namespace && { namespace }) };
  await print(workloadRows(await dumpOf(admin), filter), WORKLOAD_COLUMNS, options);
}

export async function showServices(
  admin: NodeAdmin,
  options: ConfigOptions & { serviceNamespace?: string },
): Promise<void> {
  await print(serviceRows(await dumpOf(admin), options.serviceNamespace), SERVICE_COLUMNS, options);
}

export async function showPolicies(
  admin: NodeAdmin,
  options: ConfigOptions & { policyNamespace?: string },
): Promise<void> {
  await print(policyRows(await dumpOf(admin), options.policyNamespace), POLICY_COLUMNS, options);
}

export async function showCertificates(admins: readonly NodeAdmin[], options: ConfigOptions): Promise<void> {
  const now = new Date();
  const rows = (await dumpsOf(admins)).flatMap((dump) => certificateRows(dump, now));
  await print(rows, CERTIFICATE_COLUMNS, options);
}

export async function showConnections(
  admins: readonly NodeAdmin[],
  options: ConfigOptions & { direction?: string; workloadNamespace?: string; raw?: boolean },
): Promise<void> {
  const { direction, workloadNamespace: namespace, raw = false } = options;
  const filter = { raw, ...(direction && { direction }), ...(namespace && { namespace }) };
  const rows = (await dumpsOf(admins)).flatMap((dump) => connectionRows(dump, filter));
  await print(rows, CONNECTION_COLUMNS, options);
}

export async function changeLogLevels(
  admins: readonly NodeAdmin[],
  options: { level?: string; reset?: boolean },
): Promise<void> {
  const query = options.reset ? '?reset' : `?level=${encodeURIComponent(options.level ?? '')}`;
  const path = options.reset || options.level !== undefined ? `/logging${query}` : '/logging';
  for (const admin of admins) {
    process.stdout.write(`${admin.node}: ${await admin.request('POST', path)}`);
  }
}

export async function dumpOf(admin: NodeAdmin): Promise<ConfigDump> {
  return parseConfigDump(await admin.request('GET', '/config_dump'), admin.node);
}

function dumpsOf(admins: readonly NodeAdmin[]): Promise<ConfigDump[]> {
  return Promise.all(admins.map(dumpOf));
}

/** Prints rows as a table, or as they are for a program. */
export async function print<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: ConfigOptions,
): Promise<void> {
  const { output, headers } = options;
  const text = output === 'table' ? formatTable(rows, columns, headers) : await formatValue(rows, output);
  process.stdout.write(text);
}
