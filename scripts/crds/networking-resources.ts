/** The kinds of networking.istio.io: hosts outside the cluster, and machines that are not pods. */

import type { CustomResource } from './custom-resource.ts';
import {
  choice,
  type JsonSchema,
  list,
  mapOf,
  portNumber,
  record,
  statusWith,
  text,
  textList,
  wholeNumber,
} from './schema-parts.ts';

const NETWORKING = {
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  specRequired: true,
} as const;

const WORKLOAD_FIELDS: Readonly<Record<string, JsonSchema>> = {
  address: text('IP address, or a host name where names are resolved.', { maxLength: 256 }),
  ports: mapOf('Port of this machine for each port of the service, by name.', portNumber('The port.'), {
    maxProperties: 128,
  }),
  labels: mapOf('Labels, as those of a pod.', { type: 'string' }, { maxProperties: 256 }),
  network: text('Network that the address is of.', { maxLength: 2048 }),
  locality: text('Where it is: region/zone/subzone.', { maxLength: 2048 }),
  weight: wholeNumber('Its share of the connections.', 0, 0xffff_ffff),
  serviceAccount: text('Service account whose identity it has.', { maxLength: 253 }),
};

export const WORKLOAD_ENTRY: CustomResource = {
  ...NETWORKING,
  kind: 'WorkloadEntry',
  plural: 'workloadentries',
  shortName: 'we',
  columns: [
    { name: 'Address', type: 'string', jsonPath: '.spec.address', description: 'Where it is reached.' },
  ],
  spec: record('A machine that belongs to the mesh and is not a pod.', WORKLOAD_FIELDS),
  status: statusWith(),
};

const PORT = record(
  'A port of the hosts.',
  {
    number: portNumber('The port that clients connect to.'),
    name: text('Name of the port.', { maxLength: 256 }),
    protocol: text('HTTP, HTTPS, HTTP2, GRPC, MONGO, TCP or TLS.', { maxLength: 256 }),
    targetPort: portNumber('The port of the endpoints; the same when absent.'),
  },
  { required: ['number', 'name'] },
);

export const SERVICE_ENTRY: CustomResource = {
  ...NETWORKING,
  kind: 'ServiceEntry',
  plural: 'serviceentries',
  shortName: 'se',
  columns: [
    {
      name: 'Hosts',
      type: 'string',
      jsonPath: '.spec.hosts',
      description: 'Names under which it is called.',
    },
    {
      name: 'Location',
      type: 'string',
      jsonPath: '.spec.location',
      description: 'In the mesh or outside of it.',
    },
    {
      name: 'Resolution',
      type: 'string',
      jsonPath: '.spec.resolution',
      description: 'How its endpoints are found.',
    },
    {
      name: 'Addresses',
      type: 'string',
      jsonPath: '.status.addresses[*].value',
      description: 'Addresses that the mesh has given to its hosts.',
      priority: 1,
    },
  ],
  spec: record(
    'A service that is no Service of Kubernetes.',
    {
      hosts: list(
        'Names under which it is called; a wildcard such as *.example.com is one, * alone is not.',
        {
          type: 'string',
          'x-kubernetes-validations': [{ rule: "self != '*'", message: '* alone is not a host' }],
        },
        { minItems: 1, maxItems: 256 },
      ),
      addresses: list(
        'IP addresses or CIDR blocks of its own; without any, the mesh gives it some.',
        { type: 'string', maxLength: 64 },
        { maxItems: 256 },
      ),
      ports: list('Its ports.', PORT, { maxItems: 256 }),
      location: choice('In the mesh or outside of it.', 'MESH_EXTERNAL', 'MESH_INTERNAL'),
      resolution: choice(
        'How endpoints are found: the address that the client called, those given here, or by DNS.',
        'NONE',
        'STATIC',
        'DNS',
        'DNS_ROUND_ROBIN',
        'DYNAMIC_DNS',
      ),
      endpoints: list('Its endpoints.', record('One endpoint.', WORKLOAD_FIELDS), { maxItems: 4096 }),
      workloadSelector: record('Pods and WorkloadEntries that are its endpoints.', {
        labels: mapOf(
          'Labels that they must all have.',
          { type: 'string', maxLength: 63 },
          { maxProperties: 256 },
        ),
      }),
      exportTo: textList('Namespaces that see it: . for the own one, * for all, ~ for none.'),
      subjectAltNames: textList('Names that the certificate of its endpoints may have.'),
    },
    {
      required: ['hosts'],
      'x-kubernetes-validations': [
        {
          rule: '!(has(self.endpoints) && has(self.workloadSelector))',
          message: 'only one of endpoints and workloadSelector can be given',
        },
      ],
    },
  ),
  status: statusWith({
    addresses: list(
      'Addresses that the mesh has given to hosts without any.',
      record('One of them.', { value: text('The address.'), host: text('The host that it stands for.') }),
    ),
  }),
};
