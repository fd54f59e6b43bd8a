/** What a manifest of each kind must look like before the mesh reads it. */

import { Cidr } from '../base/ip.ts';
import type { ObjectKind } from './kinds.ts';
import {
  anything,
  boolean,
  core,
  type Fault,
  integer,
  ipAddress,
  listOf,
  mapOf,
  nonEmptyString,
  oneOf,
  ours,
  port,
  portOrName,
  type Schema,
  scalar,
  string,
  text,
} from './schema.ts';

/** RFC 1123 subdomain, as Kubernetes asks of most names. */
const SUBDOMAIN = text(
  'a lower-case DNS name of at most 253 characters',
  /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
);
const LABEL = text(
  'a lower-case DNS label of at most 63 characters',
  /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
);
const STRINGS = listOf(string);
const STRING_MAP = mapOf(string);
const CIDR = scalar(
  'an IP address or a CIDR block',
  'IP addresses or CIDR blocks',
  (value) => typeof value === 'string' && Cidr.parse(value) !== undefined,
);

const METADATA = core(
  {
    name: SUBDOMAIN,
    namespace: LABEL,
    uid: nonEmptyString,
    generation: integer(0, Number.MAX_SAFE_INTEGER),
    labels: STRING_MAP,
    annotations: STRING_MAP,
    creationTimestamp: string,
    deletionTimestamp: string,
    ownerReferences: listOf(core({ kind: string, name: string, controller: boolean }, 'kind', 'name')),
  },
  'name',
);

const CONDITIONS = listOf(core({ type: string, status: string }, 'type', 'status'));
/** Status is written by controllers, ours among them: only what is read back is checked. */
const STATUS = core({
  conditions: CONDITIONS,
  addresses: listOf(core({ value: string, host: string, type: string })),
});

/** Fields beside `spec` and `status` that every object has. */
const ENVELOPE = { apiVersion: string, kind: string, metadata: METADATA };

function ownKind(spec: Schema, ...required: readonly string[]): Schema {
  return ours({ ...ENVELOPE, spec, status: STATUS }, 'metadata', ...required);
}

function coreKind(fields: Readonly<Record<string, Schema>>, ...required: readonly string[]): Schema {
  return core({ ...ENVELOPE, ...fields }, 'metadata', ...required);
}

const CONTAINERS = listOf(
  core({ ports: listOf(core({ name: string, containerPort: port, protocol: string }, 'containerPort')) }),
);

const POD = coreKind({
  spec: core({
    nodeName: string,
    serviceAccountName: string,
    hostNetwork: boolean,
    containers: CONTAINERS,
    initContainers: CONTAINERS,
  }),
  status: core({
    phase: oneOf('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
    podIP: ipAddress,
    podIPs: listOf(core({ ip: ipAddress })),
    conditions: CONDITIONS,
  }),
});

const SERVICE = coreKind({
  spec: core({
    type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
    selector: STRING_MAP,
    clusterIP: string,
    clusterIPs: STRINGS,
    ipFamilies: listOf(oneOf('IPv4', 'IPv6')),
    ipFamilyPolicy: oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack'),
    internalTrafficPolicy: oneOf('Cluster', 'Local'),
    trafficDistribution: string,
    publishNotReadyAddresses: boolean,
    ports: listOf(
      core({ name: string, port, targetPort: portOrName, protocol: string, appProtocol: string }, 'port'),
    ),
  }),
  status: STATUS,
});

const ENDPOINT_SLICE = coreKind(
  {
    addressType: oneOf('IPv4', 'IPv6', 'FQDN'),
    endpoints: listOf(
      core(
        {
          addresses: STRINGS,
          conditions: core({ ready: boolean, serving: boolean, terminating: boolean }),
          targetRef: core({ kind: string, name: string, namespace: string }),
          nodeName: string,
          zone: string,
        },
        'addresses',
      ),
    ),
    ports: listOf(core({ name: string, port, protocol: string, appProtocol: string })),
  },
  'addressType',
);

const WORKLOAD_ENTRY_FIELDS = {
  address: string,
  ports: mapOf(port),
  labels: STRING_MAP,
  network: string,
  locality: string,
  weight: integer(0, 0xffff_ffff),
  serviceAccount: string,
};

const SERVICE_ENTRY = ownKind(
  ours(
    {
      hosts: listOf(nonEmptyString),
      addresses: listOf(CIDR),
      ports: listOf(
        ours({ number: port, name: nonEmptyString, protocol: string, targetPort: port }, 'number', 'name'),
      ),
      location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'),
      resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'),
      endpoints: listOf(ours(WORKLOAD_ENTRY_FIELDS)),
      workloadSelector: ours({ labels: STRING_MAP }),
      exportTo: STRINGS,
      subjectAltNames: STRINGS,
    },
    'hosts',
  ),
  'spec',
);

const AUTHORIZATION_SOURCE = ours({
  principals: STRINGS,
  notPrincipals: STRINGS,
  requestPrincipals: STRINGS,
  notRequestPrincipals: STRINGS,
  namespaces: STRINGS,
  notNamespaces: STRINGS,
  serviceAccounts: STRINGS,
  notServiceAccounts: STRINGS,
  ipBlocks: STRINGS,
  notIpBlocks: STRINGS,
  remoteIpBlocks: STRINGS,
  notRemoteIpBlocks: STRINGS,
});

const AUTHORIZATION_OPERATION = ours({
  hosts: STRINGS,
  notHosts: STRINGS,
  ports: STRINGS,
  notPorts: STRINGS,
  methods: STRINGS,
  notMethods: STRINGS,
  paths: STRINGS,
  notPaths: STRINGS,
});

const SELECTOR = ours({ matchLabels: STRING_MAP });
const TARGET_REFERENCE = ours(
  { group: string, kind: nonEmptyString, name: nonEmptyString, namespace: string },
  'kind',
  'name',
);

const AUTHORIZATION_POLICY = ownKind(
  ours({
    selector: SELECTOR,
    targetRef: TARGET_REFERENCE,
    targetRefs: listOf(TARGET_REFERENCE),
    action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
    provider: ours({ name: string }),
    rules: listOf(
      ours({
        from: listOf(ours({ source: AUTHORIZATION_SOURCE })),
        to: listOf(ours({ operation: AUTHORIZATION_OPERATION })),
        when: listOf(ours({ key: nonEmptyString, values: STRINGS, notValues: STRINGS }, 'key')),
      }),
    ),
  }),
);

const MUTUAL_TLS = ours({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') });
const PEER_AUTHENTICATION = ownKind(
  ours({ selector: SELECTOR, mtls: MUTUAL_TLS, portLevelMtls: mapOf(MUTUAL_TLS) }),
);

const NAMESPACE_SELECTOR = ours({
  matchLabels: STRING_MAP,
  matchExpressions: listOf(
    ours(
      { key: nonEmptyString, operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'), values: STRINGS },
      'key',
      'operator',
    ),
  ),
});

/** Of a Gateway only what makes a waypoint is checked; the rest belongs to other controllers. */
const GATEWAY = coreKind(
  {
    spec: core(
      {
        gatewayClassName: nonEmptyString,
        listeners: listOf(
          core(
            {
              name: nonEmptyString,
              port,
              protocol: nonEmptyString,
              hostname: string,
              allowedRoutes: core({
                namespaces: core({
                  from: oneOf('All', 'Selector', 'Same', 'None'),
                  selector: NAMESPACE_SELECTOR,
                }),
              }),
            },
            'name',
            'port',
            'protocol',
          ),
        ),
        addresses: listOf(core({ type: string, value: string })),
      },
      'gatewayClassName',
    ),
    status: STATUS,
  },
  'spec',
);

const SCHEMAS: Readonly<Record<ObjectKind, Schema>> = {
  Namespace: coreKind({ spec: anything, status: anything }),
  Node: coreKind({ spec: anything, status: anything }),
  Pod: POD,
  Service: SERVICE,
  EndpointSlice: ENDPOINT_SLICE,
  ServiceEntry: SERVICE_ENTRY,
  WorkloadEntry: ownKind(ours(WORKLOAD_ENTRY_FIELDS), 'spec'),
  AuthorizationPolicy: AUTHORIZATION_POLICY,
  PeerAuthentication: PEER_AUTHENTICATION,
  Gateway: GATEWAY,
  GatewayClass: coreKind({ spec: core({ controllerName: string }, 'controllerName') }, 'spec'),
};

/** Everything wrong with a manifest of this kind; empty when the mesh can use it as it is. */
export function validateManifest(kind: ObjectKind, manifest: unknown): readonly Fault[] {
  const faults: Fault[] = [];
  SCHEMAS[kind].check(manifest, [], (fault) => faults.push(fault));
  return faults;
}
