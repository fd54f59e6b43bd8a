/** `ambit status`: one line for each node proxy, and the pods that it cannot serve. */

import { AmbitError, messageOf } from '../base/errors.ts';
import type { NodeAdmin } from './admin-source.ts';
import type { ConfigDump } from './config-dump.ts';
import type { Column } from './printer.ts';
import { type ConfigOptions, dumpOf, print } from './ztunnel-config.ts';

interface NodeStatus {
  readonly node: string;
  readonly state: string;
  readonly pods: string;
  readonly workloads: number;
  readonly services: number;
  readonly policies: number;
  readonly certificates: string;
  readonly connections: number;
}

const COLUMNS: readonly Column<NodeStatus>[] = [
  { header: 'NODE', value: (row) => row.node },
  { header: 'STATE', value: (row) => row.state },
  { header: 'PODS', value: (row) => row.pods },
  { header: 'WORKLOADS', value: (row) => row.workloads },
  { header: 'SERVICES', value: (row) => row.services },
  { header: 'POLICIES', value: (row) => row.policies },
  { header: 'CERTIFICATES', value: (row) => row.certificates },
  { header: 'CONNECTIONS', value: (row) => row.connections },
];

/** Exits with 1 when a proxy does not answer, or serves less than it should. */
export async function showStatus(admins: readonly NodeAdmin[], options: ConfigOptions): Promise<void> {
  const rows = await Promise.all(admins.map(statusOf));
  await print(rows, COLUMNS, options);
  if (rows.some((row) => row.state !== 'ok')) process.exitCode = 1;
}

async function statusOf(admin: NodeAdmin): Promise<NodeStatus> {
  try {
    return summarise(admin.node, await dumpOf(admin));
  } catch (thrown) {
    const isUnreachable = thrown instanceof AmbitError && thrown.code === 'AMBIT_CLI_UNREACHABLE';
    const state = isUnreachable ? `unreachable: ${thrown.message}` : messageOf(thrown);
    return {
      node: admin.node,
      state,
      pods: '',
      workloads: 0,
      services: 0,
      policies: 0,
      certificates: '',
      connections: 0,
    };
  }
}

function summarise(node: string, dump: ConfigDump): NodeStatus {
  const pods = Object.values(dump.workloadState);
  const up = pods.filter((pod) => pod.state === 'Up');
  const available = dump.certificates.filter((one) => one.state === 'Available');
  const missing = pods.length - up.length;
  const without = dump.certificates.length - available.length;
  const open = pods.flatMap((pod) => [
    ...(pod.connections?.inbound ?? []),
    ...(pod.connections?.outbound ?? []),
  ]);
  return {
    node,
    state: stateText(missing, without),
    pods: `${up.length}/${pods.length}`,
    workloads: dump.workloads.length,
    services: dump.services.length,
    policies: dump.policies.length,
    certificates: `${available.length}/${dump.certificates.length}`,
    connections: open.length,
  };
}

function stateText(podsMissing: number, certificatesMissing: number): string {
  if (podsMissing > 0) return `${podsMissing} pods are not served`;
  return certificatesMissing > 0 ? `${certificatesMissing} identities lack a certificate` : 'ok';
}
