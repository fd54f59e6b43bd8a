/** Manifests of the kinds that users of Istio's ambient mode know, as its documentation has them, and mistakes in such. */

function policy(name: string, spec: string, version = 'v1'): string {
  return `apiVersion: security.istio.io/${version}
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec: ${spec}
`;
}

function authentication(name: string, spec: string, version = 'v1'): string {
  return `apiVersion: security.istio.io/${version}
kind: PeerAuthentication
metadata: { name: ${name}, namespace: default }
spec: ${spec}
`;
}

function entry(kind: 'ServiceEntry' | 'WorkloadEntry', name: string, spec: string, version = 'v1'): string {
  return `apiVersion: networking.istio.io/${version}
kind: ${kind}
metadata: { name: ${name}, namespace: default }
spec: ${spec}
`;
}

const MONGO = `{
  hosts: [mymongodb.somedomain], addresses: [192.192.192.192/24],
  ports: [{ number: 27018, name: mongodb, protocol: MONGO }],
  location: MESH_INTERNAL, resolution: STATIC, endpoints: [{ address: 2.2.2.2 }, { address: 3.3.3.3 }]
}`;

export const ACCEPTED = {
  'nothing is allowed': policy('allow-nothing', '{}'),
  'everything is allowed': policy('allow-all', '{ rules: [{}] }'),
  'everything is denied': policy('deny-all', '{ action: DENY, rules: [{}] }', 'v1beta1'),
  'callers by service account and namespace, at ports': policy(
    'ztunnel-l4',
    `{
      selector: { matchLabels: { app: httpbin, version: v1 } }, action: ALLOW,
      rules: [{
        from: [
          { source: { principals: [cluster.local/ns/default/sa/curl, "*/sa/frontend"] } },
          { source: { namespaces: [test, "pre-*"], notIpBlocks: [10.0.0.0/8] } },
          { source: { serviceAccounts: [default/curl, web], ipBlocks: ["2001:db8::/32"] } }
        ],
        to: [{ operation: { ports: ["80", "8080"], notPorts: ["22"] } }],
        when: [{ key: source.ip, notValues: [1.2.3.4] }, { key: destination.port, values: ["80"] }]
      }]
    }`,
  ),
  'requests by method, path and token, at a waypoint': policy(
    'waypoint-l7',
    `{
      targetRefs: [
        { kind: Service, group: "", name: reviews },
        { kind: Gateway, group: gateway.networking.k8s.io, name: waypoint }
      ],
      action: DENY,
      rules: [{
        from: [{ source: { notRequestPrincipals: ["*"], remoteIpBlocks: [1.2.3.4] } }],
        to: [{ operation: { methods: [GET], notMethods: [POST], paths: [/info*], notPaths: [/admin], hosts: ["*.a"], notHosts: [b] } }],
        when: [{ key: "request.auth.claims[iss]", values: ["https://accounts.google.com"] }]
      }]
    }`,
    'v1beta1',
  ),
  'a single target of a waypoint': policy(
    'one-target',
    '{ targetRef: { kind: Gateway, group: gateway.networking.k8s.io, name: waypoint } }',
  ),
  'somebody else decides': policy(
    'ext-authz',
    '{ action: CUSTOM, provider: { name: my-authz }, rules: [{ to: [{ operation: { paths: [/admin] } }] }] }',
  ),
  'an audit': policy(
    'audit',
    '{ action: AUDIT, rules: [{ to: [{ operation: { paths: ["/user/profile/*"] } }] }] }',
  ),
  'only mutual TLS': authentication('default', '{ mtls: { mode: STRICT } }'),
  'plain text as well': authentication('permissive', '{ mtls: { mode: PERMISSIVE } }', 'v1beta1'),
  'a mode for single ports': authentication(
    'ports',
    `{
      selector: { matchLabels: { app: finance } }, mtls: { mode: STRICT },
      portLevelMtls: { 8080: { mode: DISABLE }, "9090": { mode: UNSET } }
    }`,
  ),
  'no mode at all': authentication('nothing', '{ selector: { matchLabels: { app: finance } } }'),
  'external hosts': entry(
    'ServiceEntry',
    'external-svc-https',
    `{
      hosts: [api.dropboxapi.com, www.googleapis.com], location: MESH_EXTERNAL, resolution: DNS,
      ports: [{ number: 443, name: https, protocol: TLS }]
    }`,
    'v1alpha3',
  ),
  'an external host by DNS': entry(
    'ServiceEntry',
    'external-svc-dns',
    `{
      hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, exportTo: ["."],
      ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }],
      endpoints: [
        { address: us.foo.bar.com, ports: { http: 8080 }, locality: us-east1/a },
        { address: in.foo.bar.com, weight: 3, network: n2, labels: { version: v1 } }
      ],
      subjectAltNames: ["spiffe://cluster.local/ns/httpbin-ns/sa/httpbin-service-account"]
    }`,
  ),
  'endpoints that are addresses': entry('ServiceEntry', 'external-svc-mongocluster', MONGO),
  'a wildcard': entry(
    'ServiceEntry',
    'external-svc-wildcard',
    '{ hosts: ["*.bar.com"], location: MESH_EXTERNAL, resolution: NONE, ports: [{ number: 80, name: http, protocol: HTTP }] }',
  ),
  'a wildcard that is resolved on demand': entry(
    'ServiceEntry',
    'dynamic',
    '{ hosts: ["*.bar.com"], resolution: DYNAMIC_DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }',
  ),
  'endpoints by labels': entry(
    'ServiceEntry',
    'details-svc',
    `{
      hosts: [details.bookinfo.com], location: MESH_INTERNAL, resolution: STATIC,
      ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }],
      workloadSelector: { labels: { app: details-legacy } }
    }`,
    'v1beta1',
  ),
  'names resolved anew for each connection': entry(
    'ServiceEntry',
    'round-robin',
    '{ hosts: [api.example.com], resolution: DNS_ROUND_ROBIN, ports: [{ number: 443, name: tls }] }',
  ),
  'a virtual machine': entry(
    'WorkloadEntry',
    'details-vm-1',
    '{ serviceAccount: details-legacy, address: 2.2.2.2, labels: { app: details-legacy, instance-id: vm1 } }',
  ),
  'a machine of another network': entry(
    'WorkloadEntry',
    'remote',
    '{ address: vm1.vpc01.corp.net, network: vpc01, locality: us/east/1a, weight: 2, ports: { http: 8080 } }',
    'v1alpha3',
  ),
} as const;

interface Mistake {
  readonly manifest: string;
  readonly message: RegExp;
}

export const MISTAKES: Readonly<Record<string, Mistake>> = {
  'an action that does not exist': {
    manifest: policy('x', '{ action: ALOW }'),
    message: /Unsupported value: "ALOW"/,
  },
  'a field that does not exist, which would widen the rule': {
    manifest: policy('x', '{ rules: [{ from: [{ source: { principal: [a] } }] }] }'),
    message: /unknown field "spec.rules\[0\].from\[0\].source.principal"/,
  },
  'a selector beside a target': {
    manifest: policy(
      'x',
      '{ selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Service, name: a }] }',
    ),
    message: /only one of selector, targetRef and targetRefs/,
  },
  'service accounts beside namespaces': {
    manifest: policy('x', '{ rules: [{ from: [{ source: { serviceAccounts: [a], namespaces: [b] } }] }] }'),
    message: /service accounts cannot be combined/,
  },
  'a condition without a key': {
    manifest: policy('x', '{ rules: [{ when: [{ values: [a] }] }] }'),
    message: /when\[0\].key: Required value/,
  },
  'a mode that does not exist': {
    manifest: authentication('x', '{ mtls: { mode: STRIKT } }'),
    message: /Unsupported value: "STRIKT"/,
  },
  'ports without a selector': {
    manifest: authentication('x', '{ portLevelMtls: { "80": { mode: STRICT } } }'),
    message: /portLevelMtls needs a selector/,
  },
  'a port that is none': {
    manifest: authentication(
      'x',
      '{ selector: { matchLabels: { a: b } }, portLevelMtls: { "80000": { mode: STRICT } } }',
    ),
    message: /ports are numbers from 1 to 65535/,
  },
  'no host': {
    manifest: entry('ServiceEntry', 'x', '{ hosts: [] }'),
    message: /spec.hosts.*at least 1 item/,
  },
  'every host': {
    manifest: entry('ServiceEntry', 'x', '{ hosts: ["*"] }'),
    message: /\* alone is not a host/,
  },
  'endpoints beside a selector of endpoints': {
    manifest: entry(
      'ServiceEntry',
      'x',
      '{ hosts: [a.b], endpoints: [{ address: 1.2.3.4 }], workloadSelector: { labels: { a: b } } }',
    ),
    message: /only one of endpoints and workloadSelector/,
  },
  'a port without a name': {
    manifest: entry('ServiceEntry', 'x', '{ hosts: [a.b], ports: [{ number: 80 }] }'),
    message: /ports\[0\].name: Required value/,
  },
};
