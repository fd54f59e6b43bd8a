/** The parts of a node proxy's /config_dump that commands show; tolerant, because other implementations write it too. */

import { errors } from './errors.ts';

export interface DumpedWorkload {
  readonly name?: string;
  readonly namespace?: string;
  readonly workloadIps?: readonly string[];
  readonly node?: string;
  readonly protocol?: string;
  readonly waypoint?: { readonly destination?: string };
  readonly uid?: string;
}

export interface DumpedService {
  readonly name?: string;
  readonly namespace?: string;
  readonly hostname?: string;
  readonly vips?: readonly string[];
  readonly endpoints?: Readonly<Record<string, { readonly status?: string }>>;
  readonly waypoint?: { readonly destination?: string };
}

export interface DumpedPolicy {
  readonly name?: string;
  readonly namespace?: string;
  readonly action?: string;
  readonly scope?: string;
}

export interface DumpedCertificate {
  readonly pem?: string;
  readonly serialNumber?: string;
  readonly validFrom?: string;
  readonly expirationTime?: string;
}

export interface DumpedIdentity {
  readonly identity?: string;
  readonly state?: string;
  readonly certChain?: readonly DumpedCertificate[];
  readonly rootCerts?: readonly DumpedCertificate[];
}

export interface DumpedConnection {
  readonly src?: string;
  readonly originalDst?: string;
  readonly actualDst?: string;
  readonly protocol?: string;
}

export interface DumpedPod {
  readonly state?: string;
  readonly info?: { readonly name?: string; readonly namespace?: string; readonly serviceAccount?: string };
  readonly connections?: {
    readonly inbound?: readonly DumpedConnection[];
    readonly outbound?: readonly DumpedConnection[];
  };
}

export interface ConfigDump {
  readonly workloads: readonly DumpedWorkload[];
  readonly services: readonly DumpedService[];
  readonly policies: readonly DumpedPolicy[];
  readonly certificates: readonly DumpedIdentity[];
  readonly workloadState: Readonly<Record<string, DumpedPod>>;
  readonly version?: { readonly version?: string };
  /** Of the connection to the control plane; only Ambit's proxy tells. */
  readonly xds?: { readonly connected?: boolean; readonly ready?: boolean; readonly lastError?: string };
}

/** @throws AmbitError AMBIT_CLI_BAD_DUMP when the text is not such a dump. */
export function parseConfigDump(text: string, origin: string): ConfigDump {
  let dump: Partial<ConfigDump>;
  try {
    dump = JSON.parse(text) as Partial<ConfigDump>;
  } catch (thrown) {
    throw errors.AMBIT_CLI_BAD_DUMP(`${origin} is not JSON`, thrown);
  }
  if (typeof dump !== 'object' || dump === null || dump.workloads === undefined) {
    throw errors.AMBIT_CLI_BAD_DUMP(`${origin} is not the config dump of a node proxy`);
  }
  return {
    workloads: listOf(dump.workloads),
    services: listOf(dump.services),
    policies: listOf(dump.policies),
    certificates: listOf(dump.certificates),
    workloadState: dump.workloadState ?? {},
    ...(dump.version !== undefined && { version: dump.version }),
    ...(dump.xds !== undefined && { xds: dump.xds }),
  };
}

/** Older proxies dump maps where newer ones dump lists. */
function listOf<T>(value: readonly T[] | Readonly<Record<string, T>> | undefined): readonly T[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : Object.values(value);
}
