/** Arbitrary objects of the mesh model, as the wire can hold them. */

import fc from 'fast-check';
import { Cidr, type IpAddress, ipFromBytes } from '../../../src/base/ip.ts';
import type { Authorization, StringMatch } from '../../../src/mesh/authorization.ts';
import type { GatewayAddress } from '../../../src/mesh/gateway-address.ts';
import type { Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';

const plain = { noNullPrototype: true } as const;
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
const word = fc.oneof(fc.constant(''), name);
const port = fc.integer({ min: 0, max: 65535 });
const ipBytes = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
export const ip: fc.Arbitrary<IpAddress> = ipBytes.map((bytes) => ipFromBytes(bytes)!);

const gateway: fc.Arbitrary<GatewayAddress> = fc.record(
  {
    destination: fc.oneof(
      fc.record({ kind: fc.constant('hostname' as const), namespace: name, hostname: name }, plain),
      fc.record({ kind: fc.constant('address' as const), network: word, ip }, plain),
    ),
    hboneMtlsPort: port,
  },
  plain,
);
const maybeGateway = fc.option(gateway, { nil: undefined });
const extensions = fc.array(
  fc.record({ name, typeUrl: word, value: fc.uint8Array({ maxLength: 8 }) }, plain),
  {
    maxLength: 2,
  },
);
const portMapping = fc.record({ servicePort: port, targetPort: port }, plain);

export const workload: fc.Arbitrary<Workload> = fc.record(
  {
    uid: name,
    name: word,
    namespace: word,
    addresses: fc.array(ip, { maxLength: 2 }),
    hostname: word,
    network: word,
    tunnelProtocol: fc.constantFrom('NONE', 'HBONE'),
    trustDomain: fc.oneof(fc.constant('cluster.local'), name),
    serviceAccount: fc.oneof(fc.constant('default'), name),
    waypoint: maybeGateway,
    networkGateway: maybeGateway,
    node: word,
    canonicalName: word,
    canonicalRevision: word,
    workloadType: fc.constantFrom('DEPLOYMENT', 'CRONJOB', 'POD', 'JOB'),
    workloadName: word,
    nativeTunnel: fc.boolean(),
    applicationTunnel: fc.option(fc.record({ protocol: fc.constantFrom('NONE', 'PROXY'), port }, plain), {
      nil: undefined,
    }),
    services: fc
      .array(fc.tuple(name, name, fc.array(portMapping, { maxLength: 2 })), { maxLength: 3 })
      .map((all) => new Map(all.map(([namespace, host, ports]) => [`${namespace}/${host}`, ports]))),
    authorizationPolicies: fc.array(name, { maxLength: 2 }),
    status: fc.constantFrom('HEALTHY', 'UNHEALTHY'),
    clusterId: fc.oneof(fc.constant('Kubernetes'), name),
    locality: fc.record({ region: word, zone: word, subzone: word }, plain),
    networkMode: fc.constantFrom('STANDARD', 'HOST_NETWORK'),
    extensions,
    capacity: fc.nat(1000),
  } as const,
  plain,
);

const serviceAddress = fc
  .tuple(word, ip, fc.nat(31))
  .map(([network, address, length]) =>
    length === 0 ? { network, ip: address } : { network, ip: address, prefixLength: length },
  );

export const service: fc.Arbitrary<Service> = fc.record(
  {
    name: word,
    namespace: word,
    hostname: name,
    addresses: fc.array(serviceAddress, { maxLength: 3 }),
    ports: fc.array(
      fc.record(
        {
          servicePort: port,
          targetPort: port,
          appProtocol: fc.constantFrom('UNKNOWN', 'HTTP11', 'HTTP2', 'GRPC', 'TCP', 'TLS'),
        },
        plain,
      ),
      { maxLength: 3 },
    ),
    subjectAltNames: fc.array(name, { maxLength: 2 }),
    waypoint: maybeGateway,
    loadBalancing: fc.option(
      fc.record(
        {
          routingPreference: fc.array(
            fc.constantFrom('REGION', 'ZONE', 'SUBZONE', 'NODE', 'CLUSTER', 'NETWORK'),
            { maxLength: 3 },
          ),
          mode: fc.constantFrom('UNSPECIFIED', 'STRICT', 'FAILOVER', 'PASSTHROUGH'),
          healthPolicy: fc.constantFrom('ONLY_HEALTHY', 'ALLOW_ALL'),
        } as const,
        plain,
      ),
      { nil: undefined },
    ),
    ipFamilies: fc.constantFrom('AUTOMATIC', 'IPV4_ONLY', 'IPV6_ONLY', 'DUAL'),
    extensions,
    canonical: fc.boolean(),
    ingressUseWaypoint: fc.boolean(),
    weightedWaypoints: fc.array(fc.record({ destination: gateway, weight: fc.nat(100) }, plain), {
      maxLength: 2,
    }),
    visibility: fc.constantFrom('PUBLIC', 'NAMESPACE'),
  } as const,
  plain,
);

const stringMatch: fc.Arbitrary<StringMatch> = fc.oneof(
  fc.constant({ kind: 'presence' as const }),
  fc.record({ kind: fc.constantFrom('exact', 'prefix', 'suffix'), value: word } as const, plain),
);
const strings = fc.array(stringMatch, { maxLength: 2 });
const cidrs = fc.array(
  ip.chain((address) =>
    fc.nat(address.includes(':') ? 95 : 32).map((bits) => Cidr.parse(`${address}/${bits}`)!),
  ),
  { maxLength: 2 },
);
const ports = fc.array(port, { maxLength: 3 });
const accounts = fc.array(fc.record({ namespace: word, serviceAccount: name }, plain), { maxLength: 2 });
const match = fc.record(
  {
    namespaces: strings,
    notNamespaces: strings,
    principals: strings,
    notPrincipals: strings,
    sourceIps: cidrs,
    notSourceIps: cidrs,
    destinationIps: cidrs,
    notDestinationIps: cidrs,
    destinationPorts: ports,
    notDestinationPorts: ports,
    serviceAccounts: accounts,
    notServiceAccounts: accounts,
    extensions,
  },
  plain,
);
const clause = fc.record({ matches: fc.array(match, { maxLength: 2 }) }, plain);
const rule = fc.record({ clauses: fc.array(clause, { maxLength: 2 }) }, plain);

export const authorization: fc.Arbitrary<Authorization> = fc.record(
  {
    name,
    namespace: word,
    scope: fc.constantFrom('GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'),
    action: fc.constantFrom('ALLOW', 'DENY'),
    rules: fc.array(rule, { maxLength: 2 }),
    dryRun: fc.boolean(),
    extensions,
  } as const,
  plain,
);
