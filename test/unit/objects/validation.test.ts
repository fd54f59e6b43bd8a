/** What is said about manifests that are not as they must be, and that no text at all makes the parser throw. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EMPTY_FILE, parseManifestFile } from '../../../src/objects/manifest-file.ts';
import { parseManifests, splitDocuments } from '../../../src/objects/manifest-parser.ts';

function messages(text: string): string[] {
  return parseManifestFile('f.yaml', text, EMPTY_FILE).problems.map((one) =>
    one.message.replace('f.yaml:', ''),
  );
}

const HEAD = {
  AuthorizationPolicy: 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\n',
  PeerAuthentication:
    'apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: x}\n',
  ServiceEntry: 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: x}\n',
  WorkloadEntry: 'apiVersion: networking.istio.io/v1alpha3\nkind: WorkloadEntry\nmetadata: {name: x}\n',
  Gateway: 'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: x}\n',
  Service: 'apiVersion: v1\nkind: Service\nmetadata: {name: x}\n',
  Pod: 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n',
  EndpointSlice: 'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: x}\n',
};

const CASES: readonly (readonly [keyof typeof HEAD, string, readonly string[]])[] = [
  [
    'AuthorizationPolicy',
    'spec:\n  rules:\n  - from:\n    - source:\n        principals: cluster.local/ns/a/sa/b\n',
    ['8: spec.rules[0].from[0].source.principals: must be a list of strings'],
  ],
  [
    'AuthorizationPolicy',
    'spec:\n  rules:\n  - to:\n    - operation:\n        ports: [80, "443"]\n',
    ['8: spec.rules[0].to[0].operation.ports[0]: must be a string'],
  ],
  [
    'AuthorizationPolicy',
    'spec:\n  rules:\n  - from:\n    - source:\n        namespaces:\n',
    ['8: spec.rules[0].from[0].source.namespaces: must be a list of strings'],
  ],
  [
    'AuthorizationPolicy',
    'spec:\n  rules:\n  - when:\n    - values: [a]\n',
    ['7: spec.rules[0].when[0]: must have the field key'],
  ],
  [
    'AuthorizationPolicy',
    'spec:\n  selector:\n    matchLabels:\n      app: 5\n',
    ['7: spec.selector.matchLabels.app: must be a string'],
  ],
  [
    'AuthorizationPolicy',
    'spec:\n  targetRefs:\n  - kind: Gateway\n',
    ['6: spec.targetRefs[0]: must have the field name'],
  ],
  [
    'PeerAuthentication',
    'spec:\n  mtls: {mode: strict}\n',
    ['5: spec.mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT'],
  ],
  [
    'PeerAuthentication',
    'spec:\n  portLevelMtls:\n    "80": STRICT\n',
    ['6: spec.portLevelMtls["80"]: must be an object'],
  ],
  ['ServiceEntry', '', ['1: must have the field spec']],
  [
    'ServiceEntry',
    'spec:\n  ports:\n  - number: 70000\n    name: http\n',
    ['4: spec: must have the field hosts', '6: spec.ports[0].number: must be a whole number from 1 to 65535'],
  ],
  [
    'ServiceEntry',
    'spec:\n  hosts: [a]\n  addresses: [10.0.0.0/33]\n',
    ['6: spec.addresses[0]: must be an IP address or a CIDR block'],
  ],
  [
    'ServiceEntry',
    'spec:\n  hosts: [a]\n  resolution: SOMETIMES\n',
    ['6: spec.resolution: must be one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS'],
  ],
  ['WorkloadEntry', 'spec:\n  weight: -1\n', ['5: spec.weight: must be a whole number from 0 to 4294967295']],
  [
    'WorkloadEntry',
    'spec:\n  ports: {http: "80"}\n',
    ['5: spec.ports.http: must be a whole number from 1 to 65535'],
  ],
  [
    'Gateway',
    'spec:\n  gatewayClassName: istio-waypoint\n  listeners:\n  - name: mesh\n    port: 15008\n    protocol: HBONE\n    allowedRoutes: {namespaces: {from: Everywhere}}\n',
    ['10: spec.listeners[0].allowedRoutes.namespaces.from: must be one of All, Selector, Same, None'],
  ],
  [
    'Service',
    'spec:\n  ports:\n  - targetPort: true\n',
    [
      '6: spec.ports[0]: must have the field port',
      '6: spec.ports[0].targetPort: must be a port number or a port name',
    ],
  ],
  ['Service', 'spec:\n  ports: {}\n', ['5: spec.ports: must be a list of objects']],
  ['Pod', 'status:\n  podIP: 10.0.0.256\n', ['5: status.podIP: must be an IP address']],
  [
    'Pod',
    'status:\n  phase: Sleeping\n',
    ['5: status.phase: must be one of Pending, Running, Succeeded, Failed, Unknown'],
  ],
  ['EndpointSlice', 'endpoints: []\n', ['1: must have the field addressType']],
];

for (const [kind, body, expected] of CASES) {
  test(`${kind} with ${JSON.stringify(body)} is refused because ${expected[0]}`, () => {
    assert.deepEqual(messages(HEAD[kind] + body), expected);
  });
}

test('a manifest that cannot be named is reported at its place', () => {
  assert.deepEqual(messages('- 1\n'), ['1: must be an object with apiVersion, kind and metadata']);
  assert.deepEqual(messages('---\nfoo: 1\n'), ['2: kind: must name a kind']);
  assert.deepEqual(messages('kind: Pod\n'), ['1: apiVersion: must name an API group and version']);
  assert.deepEqual(messages('apiVersion: v1\nkind: Pod\nmetadata:\n  name: Big_Name\n'), [
    '4: metadata.name: must be a lower-case DNS name of at most 253 characters',
  ]);
  assert.deepEqual(messages('apiVersion: v1\nkind: PodList\nitems:\n- kind: Pod\n'), [
    '4: items[0].apiVersion: must name an API group and version',
  ]);
});

test('faults in JSON have line numbers, too', () => {
  assert.deepEqual(messages('{\n "apiVersion": "v1", "kind": "Pod",\n "metadata": {\n  "name": 5\n }\n}\n'), [
    '4: metadata.name: must be a lower-case DNS name of at most 253 characters',
  ]);
});

test('null is absent where Kubernetes takes it so', () => {
  const text =
    'apiVersion: v1\nkind: Pod\nmetadata: {name: a, creationTimestamp: null, labels: null}\nspec: {nodeName: null}\nstatus: null\n';
  const parsed = parseManifests(text);
  assert.deepEqual(parsed.problems, []);
  assert.deepEqual(parsed.manifests[0]?.fields, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a' },
    spec: {},
  });
});

test('an alias bomb is a syntax problem, not a stall', () => {
  const levels = Array.from(
    { length: 9 },
    (_, i) =>
      `l${i}: &l${i} [${Array(9)
        .fill(i === 0 ? 'x' : `*l${i - 1}`)
        .join(', ')}]`,
  );
  const parsed = parseManifests(`${levels.join('\n')}\n`);
  assert.equal(parsed.problems[0]?.code, 'AMBIT_OBJECTS_SYNTAX');
  assert.equal(parsed.unreadable, true);
});

test('a file is cut into documents at their markers and nowhere else', () => {
  const text = 'a: |\n  --- not this\n--- # this\nb: 1\n---\n\n---x: 1\n';
  assert.deepEqual(
    splitDocuments(text).map(({ text: document, lineOffset }) => [document, lineOffset]),
    [
      ['a: |\n  --- not this\n', 0],
      ['--- # this\nb: 1\n', 2],
      ['---\n\n---x: 1\n', 4],
    ],
  );
});

test('no text makes the parser throw, and every problem has a line of the text', () => {
  const word = fc.constantFrom(
    'kind',
    'Pod',
    'apiVersion',
    'v1',
    'metadata',
    'name',
    'a',
    ':',
    ' ',
    '\n',
    '- ',
    '---',
    '[',
    '{',
    '"',
    '&x',
    '*x',
    '|',
    '  ',
    'items',
    'List',
    'null',
    '__proto__',
    '\t',
    '!!binary',
    '<<',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
      ),
      (text) => {
        const file = parseManifestFile('f', text, EMPTY_FILE);
        for (const problem of file.problems) {
          assert.ok(problem.line! >= 1 && problem.line! <= text.split('\n').length);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('whatever JSON an object is, validation describes it instead of throwing', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(HEAD)), fc.json(), fc.json(), (head, spec, status) => {
      parseManifests(`${head}spec: ${spec}\nstatus: ${status}\n`);
    }),
    { numRuns: 1000 },
  );
});

test('nothing is printed because a key is a collection', async () => {
  const printed: Error[] = [];
  const onWarning = (warning: Error) => printed.push(warning);
  process.on('warning', onWarning);
  const text = 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n{ b: c }: d\n';
  const { manifests } = parseManifests(text);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  assert.equal(manifests.length, 1);
  assert.deepEqual(printed, []);
});
