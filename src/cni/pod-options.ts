/** Reads a pod's wishes about its redirection from its annotations; what is invalid is left out and reported. */

import { Cidr } from '../base/ip.ts';
import { HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from './redirection-constants.ts';
import type { RedirectionOptions } from './redirection-rules.ts';

const DNS_CAPTURE = 'ambient.istio.io/dns-capture';
const BYPASS_INBOUND = 'ambient.istio.io/bypass-inbound-capture';
const VIRTUAL_INTERFACES = 'istio.io/reroute-virtual-interfaces';
const EXCLUDE_OUTBOUND_PORTS = 'traffic.sidecar.istio.io/excludeOutboundPorts';
const EXCLUDE_INBOUND_PORTS = 'traffic.sidecar.istio.io/excludeInboundPorts';
const EXCLUDE_OUTBOUND_RANGES = 'traffic.sidecar.istio.io/excludeOutboundIPRanges';

/** Entries per annotation: each is a rule that the kernel walks through for every new connection of the pod. */
const MAX_ENTRIES = 64;
/** Warnings per pod; annotations may be 256 KiB of nonsense. */
const MAX_WARNINGS = 16;
/** Linux: IFNAMSIZ less the terminating zero; iptables reads a trailing `+` as a wildcard. */
const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,13}[A-Za-z0-9_.:+-]?$/;
/** Not to be excluded: plain traffic would reach ztunnel's own listeners as if it had been captured. */
const MESH_PORTS = [OUTBOUND_PORT, INBOUND_PLAINTEXT_PORT, HBONE_PORT];
const DNS_PORT = 53;

export interface PodOptions {
  readonly options: RedirectionOptions;
  /** One sentence per entry that was not understood. */
  readonly warnings: readonly string[];
}

type Annotations = Readonly<Record<string, string>>;

/** @param dnsCapture the cluster's default, for pods that do not say */
export function podOptions(annotations: Annotations, dnsCapture: boolean): PodOptions {
  const warnings: string[] = [];
  const flag = (name: string, fallback: boolean) => readFlag(annotations, name, fallback, warnings);
  const list = <T>(name: string, parse: (entry: string) => T | undefined) =>
    readList(annotations, name, parse, warnings);
  const excludedOutboundPorts = list(EXCLUDE_OUTBOUND_PORTS, parsePort);
  // Port 53 is the only UDP port that is captured: whoever excludes it means DNS as a whole.
  const wantsDns = flag(DNS_CAPTURE, dnsCapture) && !excludedOutboundPorts.includes(DNS_PORT);
  const options = {
    dnsCapture: wantsDns,
    inboundCapture: !flag(BYPASS_INBOUND, false),
    virtualInterfaces: list(VIRTUAL_INTERFACES, (name) => (INTERFACE_NAME.test(name) ? name : undefined)),
    excludedOutboundPorts,
    excludedInboundPorts: list(EXCLUDE_INBOUND_PORTS, parseInboundPort),
    excludedOutboundRanges: list(EXCLUDE_OUTBOUND_RANGES, (range) => Cidr.parse(range)),
  };
  return { options, warnings: [...new Set(warnings)].slice(0, MAX_WARNINGS) };
}

/** Equal for two sets of options exactly when they lead to the same rules. */
export function optionsKey(options: RedirectionOptions): string {
  return JSON.stringify({ ...options, excludedOutboundRanges: options.excludedOutboundRanges.map(String) });
}

function readFlag(annotations: Annotations, name: string, fallback: boolean, warnings: string[]): boolean {
  const text = annotations[name];
  if (text === undefined) return fallback;
  if (text === 'true' || text === 'false') return text === 'true';
  warnings.push(`annotation ${name}: ${quoted(text)} is neither "true" nor "false"`);
  return fallback;
}

function readList<T>(
  annotations: Annotations,
  name: string,
  parse: (entry: string) => T | undefined,
  warnings: string[],
): T[] {
  const entries = (annotations[name] ?? '').split(',').map((entry) => entry.trim());
  const found = new Map<string, T>();
  for (const entry of entries.filter((one) => one !== '')) {
    const value = parse(entry);
    if (value === undefined) warnings.push(`annotation ${name}: ${quoted(entry)} is not valid here`);
    else if (found.size < MAX_ENTRIES) found.set(String(value), value);
    else warnings.push(`annotation ${name}: only the first ${MAX_ENTRIES} entries are used`);
  }
  return [...found.values()];
}

function parsePort(text: string): number | undefined {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port > 0 && port <= 65535 ? port : undefined;
}

function parseInboundPort(text: string): number | undefined {
  const port = parsePort(text);
  return port === undefined || MESH_PORTS.includes(port) ? undefined : port;
}

/** Annotations may be long; a warning is one line. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
