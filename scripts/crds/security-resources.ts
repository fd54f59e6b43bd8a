/** The kinds of security.istio.io: who may call whom, and which connections must be encrypted. */

import type { CustomResource } from './custom-resource.ts';
import {
  choice,
  type JsonSchema,
  list,
  mapOf,
  record,
  statusWith,
  text,
  textList,
  WORKLOAD_SELECTOR,
} from './schema-parts.ts';

const SECURITY = { group: 'security.istio.io', versions: ['v1', 'v1beta1'], specRequired: false } as const;

/** `namespace/name` or a name, as long as both may be. */
const ACCOUNTS: Partial<JsonSchema> = { maxItems: 16, items: { type: 'string', maxLength: 320 } };

const SOURCE = record(
  'Where a call comes from; everything that is given must hold.',
  {
    principals: textList('Identities, as trust-domain/ns/NAMESPACE/sa/ACCOUNT; * at one end or alone.'),
    notPrincipals: textList('Identities that it must not have.'),
    requestPrincipals: textList(
      'Identities from a token in the request, as issuer/subject. Needs a waypoint.',
    ),
    notRequestPrincipals: textList('Identities from a token that it must not have. Needs a waypoint.'),
    namespaces: textList('Namespaces of the caller.'),
    notNamespaces: textList('Namespaces that the caller must not be of.'),
    serviceAccounts: textList('Service accounts of the caller, as NAMESPACE/NAME or NAME.', ACCOUNTS),
    notServiceAccounts: textList('Service accounts that the caller must not have.', ACCOUNTS),
    ipBlocks: textList('Addresses or CIDR blocks that the connection comes from.'),
    notIpBlocks: textList('Addresses or CIDR blocks that it must not come from.'),
    remoteIpBlocks: textList('Addresses of the first client, before any proxy. Needs a waypoint.'),
    notRemoteIpBlocks: textList('Addresses that the first client must not have. Needs a waypoint.'),
  },
  {
    'x-kubernetes-validations': [
      {
        rule: [
          '!(has(self.serviceAccounts) || has(self.notServiceAccounts)) ||',
          '!(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))',
        ].join(' '),
        message: 'service accounts cannot be combined with principals or namespaces in one source',
      },
    ],
  },
);

const OPERATION = record('What the call is for; everything that is given must hold.', {
  ports: textList('Ports of the pod.'),
  notPorts: textList('Ports that it must not be for.'),
  hosts: textList('Host names in the request. Needs a waypoint.'),
  notHosts: textList('Host names that must not be in the request. Needs a waypoint.'),
  methods: textList('HTTP methods. Needs a waypoint.'),
  notMethods: textList('HTTP methods that it must not have. Needs a waypoint.'),
  paths: textList('Paths in the request. Needs a waypoint.'),
  notPaths: textList('Paths that must not be in the request. Needs a waypoint.'),
});

const RULE = record('Calls that fulfil all of from, to and when.', {
  from: list('Any of these sources.', record('One source.', { source: SOURCE }), { maxItems: 512 }),
  to: list('Any of these operations.', record('One operation.', { operation: OPERATION })),
  when: list(
    'All of these conditions.',
    record(
      'One condition.',
      {
        key: text('The attribute, such as source.ip or destination.port.'),
        values: textList('Values, any of which it must have.'),
        notValues: textList('Values that it must not have.'),
      },
      { required: ['key'] },
    ),
  ),
});

const NAME_LIMITS = { minLength: 1, maxLength: 253 } as const;

const TARGET = record(
  'An object of the same namespace that the policy is for. Needs a waypoint.',
  {
    group: text('API group; empty for core.', { maxLength: 253 }),
    kind: text('Kind, such as Gateway or Service.', { minLength: 1, maxLength: 63 }),
    name: text('Name.', NAME_LIMITS),
    namespace: text('Only the own one, which is not written.'),
  },
  { required: ['kind', 'name'] },
);

export const AUTHORIZATION_POLICY: CustomResource = {
  ...SECURITY,
  kind: 'AuthorizationPolicy',
  plural: 'authorizationpolicies',
  shortName: 'ap',
  columns: [
    {
      name: 'Action',
      type: 'string',
      jsonPath: '.spec.action',
      description: 'What happens to calls that match.',
    },
    {
      name: 'Accepted',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="ZtunnelAccepted")].status',
      description: 'Whether node proxies enforce all of it.',
    },
  ],
  spec: record(
    'Which calls to pods are allowed or denied.',
    {
      selector: WORKLOAD_SELECTOR,
      targetRef: TARGET,
      targetRefs: list('Objects that the policy is for.', TARGET, { maxItems: 16 }),
      action: choice(
        'What happens to calls that match a rule. With ALLOW, all others to the same pods are denied.',
        'ALLOW',
        'DENY',
        'AUDIT',
        'CUSTOM',
      ),
      provider: record('Who decides when the action is CUSTOM.', { name: text('Name of the provider.') }),
      rules: list('Calls that are meant: any rule is enough. No rule matches no call.', RULE, {
        maxItems: 512,
      }),
    },
    {
      'x-kubernetes-validations': [
        {
          rule: '[has(self.selector), has(self.targetRef), has(self.targetRefs)].filter(given, given).size() <= 1',
          message: 'only one of selector, targetRef and targetRefs can be given',
        },
      ],
    },
  ),
  status: statusWith(),
};

const MUTUAL_TLS = record('What is asked of connections.', {
  mode: choice(
    'STRICT: only mutual TLS. PERMISSIVE and DISABLE: plain text as well. UNSET: what the wider policy says.',
    'UNSET',
    'DISABLE',
    'PERMISSIVE',
    'STRICT',
  ),
});

export const PEER_AUTHENTICATION: CustomResource = {
  ...SECURITY,
  kind: 'PeerAuthentication',
  plural: 'peerauthentications',
  shortName: 'pa',
  columns: [
    {
      name: 'Mode',
      type: 'string',
      jsonPath: '.spec.mtls.mode',
      description: 'What is asked of connections.',
    },
  ],
  spec: record(
    'Whether pods accept connections in plain text.',
    {
      selector: WORKLOAD_SELECTOR,
      mtls: MUTUAL_TLS,
      portLevelMtls: mapOf('The same for single ports of the pod, by number.', MUTUAL_TLS, {
        minProperties: 1,
        'x-kubernetes-validations': [
          {
            rule: 'self.all(key, 0 < int(key) && int(key) <= 65535)',
            message: 'ports are numbers from 1 to 65535',
          },
        ],
      }),
    },
    {
      'x-kubernetes-validations': [
        {
          rule: [
            '!has(self.portLevelMtls) ||',
            '(has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)',
          ].join(' '),
          message: 'portLevelMtls needs a selector with labels',
        },
      ],
    },
  ),
  status: statusWith(),
};
