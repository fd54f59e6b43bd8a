/** The `baggage` field by which proxies tell each other who a workload is, for telemetry only. */

/** What a baggage says; empty and missing are the same. */
export interface Baggage {
  readonly cluster?: string;
  readonly namespace?: string;
  /** `deployment`, `pod`, `job`, `cronjob`; peers may know others. */
  readonly workloadType?: string;
  readonly workload?: string;
  readonly service?: string;
  readonly version?: string;
  readonly region?: string;
  readonly zone?: string;
}

/** Members looked at; a hostile one could have thousands. */
const MAX_MEMBERS = 64;
/** There is no escaping, so a value with a separator in it cannot be sent. */
const SENDABLE = /^[\x21-\x2b\x2d-\x3a\x3c-\x7e]+$/;
const WORKLOAD_KEY = /^k8s\.([a-z0-9-]+)\.name$/;

const KEYS: Readonly<Record<string, keyof Baggage>> = {
  'k8s.cluster.name': 'cluster',
  'k8s.namespace.name': 'namespace',
  'service.name': 'service',
  'service.version': 'version',
  'cloud.region': 'region',
  'cloud.availability_zone': 'zone',
};

/** Members in the order that Istio's proxies use; undefined when there is nothing to say. */
export function formatBaggage(baggage: Baggage): string | undefined {
  const workloadKey = `k8s.${baggage.workloadType ?? 'pod'}.name`;
  const members: readonly (readonly [string, string | undefined])[] = [
    ['k8s.cluster.name', baggage.cluster],
    ['k8s.namespace.name', baggage.namespace],
    [workloadKey, baggage.workload],
    ['service.name', baggage.service],
    ['service.version', baggage.version],
    ['cloud.region', baggage.region],
    ['cloud.availability_zone', baggage.zone],
  ];
  const said = members.filter(([, value]) => value !== undefined && SENDABLE.test(value));
  return said.length === 0 ? undefined : said.map(([key, value]) => `${key}=${value}`).join(',');
}

/** Takes what it understands, in any order, and passes over the rest: unknown keys, properties, nonsense. */
export function parseBaggage(text: string): Baggage {
  const result: { -readonly [K in keyof Baggage]: string } = {};
  for (const member of text.split(',', MAX_MEMBERS)) {
    const cut = member.indexOf('=');
    if (cut < 0) continue;
    const key = member.slice(0, cut).trim();
    const value = member
      .slice(cut + 1)
      .split(';', 1)[0]!
      .trim();
    if (value === '') continue;
    if (Object.hasOwn(KEYS, key)) {
      result[KEYS[key]!] = value;
      continue;
    }
    const type = WORKLOAD_KEY.exec(key)?.[1];
    if (type === undefined) continue;
    result.workloadType = type;
    result.workload = value;
  }
  return result;
}
