/** The boot configuration of ztunnel, read once from the environment under the names that Istio's ztunnel uses. */

import { availableParallelism } from 'node:os';
import type { AmbitError } from '../base/errors.ts';
import { type IpAddress, parseIp } from '../base/ip.ts';
import type { RootSource } from '../xds/root-certificates.ts';
import { errors } from './errors.ts';

/** A server given as host and port. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface KeepAliveConfig {
  readonly enabled: boolean;
  readonly timeSeconds: number;
  readonly intervalSeconds: number;
  readonly retries: number;
}

/** Everything that is fixed for the life of the process. */
export interface ZtunnelConfig {
  readonly xdsAddress: ServerAddress;
  readonly caAddress: ServerAddress;
  readonly xdsRoot: RootSource;
  readonly caRoot: RootSource;
  readonly altXdsHostname: string | undefined;
  readonly altCaHostname: string | undefined;
  readonly xdsHeaders: Readonly<Record<string, string>>;
  readonly caHeaders: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tokenPath: string;
  readonly zdsSocket: string;
  readonly nodeName: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly serviceAccount: string;
  readonly instanceIp: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly secretTtlSeconds: number;
  readonly workerThreads: number;
  readonly drainDeadlineMs: number;
  readonly dnsProxy: boolean;
  readonly originalSource: boolean;
  readonly ipv6: boolean;
  readonly packetMark: number;
  readonly maxStreamsPerConnection: number;
  readonly poolIdleReleaseMs: number;
  readonly keepAlive: KeepAliveConfig;
  /** How long sent data may stay unacknowledged; undefined leaves it to the kernel. */
  readonly userTimeoutMs: number | undefined;
  /** Whether peers that do not speak TLS 1.3 are met with 1.2. */
  readonly tls12: boolean;
  /** Whether applications find a SOCKS5 proxy on the loopback of their pod. */
  readonly socks5: boolean;
  readonly responseBaggage: boolean;
  readonly localhostAppTunnel: boolean;
  readonly crlPath: string | undefined;
  readonly logFormat: 'plain' | 'json';
  readonly logLevel: string | undefined;
  readonly adminPort: number;
  readonly statsPort: number;
  readonly readinessPort: number;
  /** Nameservers that unknown names are forwarded to; empty means those of resolv.conf. */
  readonly nameservers: readonly IpAddress[];
}

/** How a configuration reads its variables; tests give a plain object. */
export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ROOT = './var/run/secrets/istio/root-cert.pem';
const DEFAULT_TOKEN = './var/run/secrets/tokens/istio-token';
const DEFAULT_ZDS_SOCKET = '/var/run/ztunnel/ztunnel.sock';
/** SO_MARK of every socket that ztunnel opens in a pod's namespace; the redirection rules let it pass. */
const DEFAULT_PACKET_MARK = 1337;
const DAY_SECONDS = 24 * 60 * 60;
/** A second one where a second core is: each takes 14 MB. */
const DEFAULT_WORKER_THREADS = Math.min(2, availableParallelism());

/** Collects every problem before it gives up, so that one start shows all of them. */
class Reader {
  readonly problems: string[] = [];
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  text(name: string, fallback: string): string {
    const value = this.#env[name];
    return value === undefined || value === '' ? fallback : value;
  }

  optional(name: string): string | undefined {
    const value = this.#env[name];
    return value === '' ? undefined : value;
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.text(name, String(fallback)).toLowerCase();
    if (value !== 'true' && value !== 'false') this.problems.push(`${name}=${value} is not true or false`);
    return value === 'true';
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const text = this.text(name, String(fallback));
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    this.problems.push(`${name}=${text} is not a whole number from ${min} to ${max}`);
    return fallback;
  }

  /** A duration such as `90s`, `1h30m`, `500ms`; a bare number is seconds. Returns milliseconds. */
  durationMs(name: string, fallback: string): number {
    const text = this.text(name, fallback);
    const parsed = parseDurationMs(text);
    if (parsed !== undefined) return parsed;
    this.problems.push(`${name}=${text} is not a duration such as 90s or 1h30m`);
    return parseDurationMs(fallback) ?? 0;
  }

  server(name: string, fallback: string): ServerAddress {
    const text = this.text(name, fallback);
    const parsed = parseServer(text);
    if (parsed === undefined) this.problems.push(`${name}=${text} is not host:port`);
    return parsed ?? { host: 'localhost', port: 15012 };
  }

  root(name: string): RootSource {
    const value = this.text(name, DEFAULT_ROOT);
    if (value === 'SYSTEM') return { kind: 'system' };
    return value.includes('-----BEGIN') ? { kind: 'inline', pem: value } : { kind: 'file', path: value };
  }

  /** All variables that begin with the prefix, by the rest of their name. */
  prefixed(prefix: string): Record<string, string> {
    const entries = Object.entries(this.#env).filter(([name]) => name.startsWith(prefix));
    return Object.fromEntries(entries.map(([name, value]) => [name.slice(prefix.length), value ?? '']));
  }

  json(name: string, text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      this.problems.push(`${name} is not JSON`);
      return undefined;
    }
  }

  addresses(name: string): IpAddress[] {
    const parts = (this.optional(name) ?? '').split(',').filter((part) => part !== '');
    return parts.flatMap((part) => {
      const ip = parseIp(part.trim());
      if (ip === undefined) this.problems.push(`${name}: ${part} is not an IP address`);
      return ip === undefined ? [] : [ip];
    });
  }
}

/**
 * Reads the whole configuration.
 * @throws AmbitError AMBIT_CONFIG_INVALID that names every variable that cannot be understood.
 */
export function readConfig(env: Environment): ZtunnelConfig {
  const reader = new Reader(env);
  const config = { ...readServers(reader), ...readSelf(reader), ...readTuning(reader), ...readPorts(reader) };
  if (reader.problems.length > 0) throw invalidConfig(reader.problems);
  return config;
}

function readServers(reader: Reader) {
  const inCluster = reader.optional('KUBERNETES_SERVICE_HOST') !== undefined;
  const istiod = inCluster ? 'istiod.istio-system.svc:15012' : 'localhost:15012';
  const xds = reader.text('XDS_ADDRESS', istiod);
  return {
    xdsAddress: reader.server('XDS_ADDRESS', istiod),
    caAddress: reader.server('CA_ADDRESS', xds),
    xdsRoot: reader.root('XDS_ROOT_CA'),
    caRoot: reader.root('CA_ROOT_CA'),
    altXdsHostname: reader.optional('ALT_XDS_HOSTNAME'),
    altCaHostname: reader.optional('ALT_CA_HOSTNAME'),
    xdsHeaders: reader.prefixed('XDS_HEADER_'),
    caHeaders: reader.prefixed('CA_HEADER_'),
    tokenPath: DEFAULT_TOKEN,
    zdsSocket: reader.text('INPOD_UDS', DEFAULT_ZDS_SOCKET),
    crlPath: reader.optional('CRL_PATH'),
    nameservers: reader.addresses('DNS_NAMESERVERS'),
  };
}

function readSelf(reader: Reader) {
  return {
    nodeName: reader.text('NODE_NAME', ''),
    podName: reader.text('POD_NAME', ''),
    podNamespace: reader.text('POD_NAMESPACE', ''),
    serviceAccount: reader.text('SERVICE_ACCOUNT', ''),
    instanceIp: reader.text('INSTANCE_IP', ''),
    clusterId: reader.text('CLUSTER_ID', 'Kubernetes'),
    clusterDomain: reader.text('CLUSTER_DOMAIN', 'cluster.local'),
    network: reader.text('NETWORK', ''),
    trustDomain: reader.text('TRUST_DOMAIN', 'cluster.local'),
    metadata: readMetadata(reader),
  };
}

function readMetadata(reader: Reader): Record<string, unknown> {
  const json = Object.entries(reader.prefixed('ISTIO_METAJSON_'));
  const parsed = json.map(([name, text]) => [name, reader.json(`ISTIO_METAJSON_${name}`, text)]);
  return { ...reader.prefixed('ISTIO_META_'), ...Object.fromEntries(parsed) };
}

function readTuning(reader: Reader) {
  const keepAlive = {
    enabled: reader.flag('KEEPALIVE_ENABLED', true),
    timeSeconds: Math.round(reader.durationMs('KEEPALIVE_TIME', '180s') / 1000),
    intervalSeconds: Math.round(reader.durationMs('KEEPALIVE_INTERVAL', '180s') / 1000),
    retries: reader.integer('KEEPALIVE_RETRIES', 9, 1, 127),
  };
  return {
    secretTtlSeconds: Math.round(reader.durationMs('SECRET_TTL', `${DAY_SECONDS}s`) / 1000),
    workerThreads: readWorkerThreads(reader),
    drainDeadlineMs: readDrainDeadlineMs(reader),
    dnsProxy: reader.flag('ISTIO_META_DNS_CAPTURE', true),
    originalSource: reader.flag('ENABLE_ORIG_SRC', true),
    ipv6: reader.flag('IPV6_ENABLED', true),
    packetMark: reader.integer('PACKET_MARK', DEFAULT_PACKET_MARK, 1, 0xffffffff),
    maxStreamsPerConnection: reader.integer('POOL_MAX_STREAMS_PER_CONNECTION', 100, 1, 10_000),
    poolIdleReleaseMs: reader.durationMs('POOL_UNUSED_RELEASE_TIMEOUT', '5m'),
    keepAlive,
    userTimeoutMs: readUserTimeoutMs(reader, keepAlive),
    tls12: reader.flag('TLS12_ENABLED', false),
    socks5: reader.flag('UNSTABLE_ENABLE_SOCKS5', false),
    responseBaggage: reader.flag('ENABLE_RESPONSE_BAGGAGE', true),
    localhostAppTunnel: reader.flag('LOCALHOST_APP_TUNNEL', true),
  };
}

/** As long as keep-alive takes to give up. */
function readUserTimeoutMs(reader: Reader, keepAlive: KeepAliveConfig): number | undefined {
  const { timeSeconds, intervalSeconds, retries } = keepAlive;
  if (!reader.flag('USER_TIMEOUT_ENABLED', false)) return undefined;
  return (timeSeconds + retries * intervalSeconds) * 1000;
}

function readPorts(reader: Reader) {
  const format = reader.text('LOG_FORMAT', 'plain');
  if (format !== 'plain' && format !== 'json')
    reader.problems.push(`LOG_FORMAT=${format} is not plain or json`);
  return {
    logFormat: format === 'json' ? ('json' as const) : ('plain' as const),
    logLevel: reader.optional('RUST_LOG'),
    adminPort: reader.integer('ADMIN_PORT', 15000, 1, 65535),
    statsPort: reader.integer('STATS_PORT', 15020, 1, 65535),
    readinessPort: reader.integer('READINESS_PORT', 15021, 1, 65535),
  };
}

/** A number, or a share of the cores such as `25%`. */
function readWorkerThreads(reader: Reader): number {
  const text = reader.text('ZTUNNEL_WORKER_THREADS', String(DEFAULT_WORKER_THREADS));
  const share = /^(\d{1,3})%$/.exec(text);
  if (share === null) return reader.integer('ZTUNNEL_WORKER_THREADS', DEFAULT_WORKER_THREADS, 1, 256);
  return Math.max(1, Math.floor((availableParallelism() * Number(share[1])) / 100));
}

/** The explicit deadline, else the grace period less what is needed to end in good order, else 5 s. */
function readDrainDeadlineMs(reader: Reader): number {
  if (reader.optional('CONNECTION_TERMINATION_DEADLINE') !== undefined) {
    return reader.durationMs('CONNECTION_TERMINATION_DEADLINE', '5s');
  }
  if (reader.optional('TERMINATION_GRACE_PERIOD_SECONDS') === undefined) return 5000;
  const grace = reader.integer('TERMINATION_GRACE_PERIOD_SECONDS', 30, 0, 86_400);
  return 1000 * Math.max(1, grace <= 10 ? grace - 1 : grace - 5);
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `1h30m`, `500ms`, `90` (seconds); undefined when it is none of these. */
export function parseDurationMs(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    total += Number(amount) * UNIT_MS[unit!]!;
  return total;
}

/** `https://host:port`, `host:port`, `[::1]:port`; the port defaults to 15012. */
function parseServer(text: string): ServerAddress | undefined {
  const match = /^(?:https:\/\/)?(\[[^\]]+\]|[^:/[\]]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[2] ?? 15012);
  return port > 65535 ? undefined : { host: match[1]!.replace(/^\[|\]$/g, ''), port };
}

function invalidConfig(problems: readonly string[]): AmbitError {
  return errors.AMBIT_ZTUNNEL_CONFIG_INVALID(`the environment cannot be understood: ${problems.join('; ')}`);
}
