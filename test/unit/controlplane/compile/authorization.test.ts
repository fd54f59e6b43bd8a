/** AuthorizationPolicies of every odd form: what node proxies get, and that it is never laxer than what was written. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cidr, type IpAddress } from '../../../../src/base/ip.ts';
import { matchOf } from '../../../../src/controlplane/compile/connection-match.ts';
import type { Authorization } from '../../../../src/mesh/authorization.ts';
import { CompiledPolicy } from '../../../../src/mesh/compiled-policy.ts';
import { PolicySubject, policySourceOf } from '../../../../src/mesh/policy-subject.ts';
import type {
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
} from '../../../../src/objects/istio-types.ts';
import { compileMesh } from '../../../support/compile-mesh.ts';
import { type MetaInput, make, pod, service, waypoint } from '../../../support/mesh-objects.ts';

function policy(spec: AuthorizationPolicySpec, metadata: Partial<MetaInput> = {}) {
  return make('AuthorizationPolicy', { name: 'p', ...metadata }, { spec });
}

function compiled(spec: AuthorizationPolicySpec, metadata: Partial<MetaInput> = {}) {
  const mesh = compileMesh([policy(spec, metadata)]);
  return { sent: mesh.authorizations.p, conditions: mesh.conditions('p'), message: mesh.message('p') };
}

function sentRules(action: 'ALLOW' | 'DENY', ...rules: readonly AuthorizationRule[]) {
  return compiled({ action, rules }).sent?.rules;
}

const ACCEPTED = ['ZtunnelAccepted=True/Accepted'];
const UNSUPPORTED = ['ZtunnelAccepted=False/UnsupportedValue'];

test('without a selector a policy is for its namespace, in the root namespace for all', () => {
  assert.equal(compiled({}).sent?.scope, 'NAMESPACE');
  assert.equal(compiled({}, { namespace: 'istio-system' }).sent?.scope, 'GLOBAL');
  const root = compileMesh([policy({}, { namespace: 'ambit-system' })], { rootNamespace: 'ambit-system' });
  assert.equal(root.authorizations.p?.scope, 'GLOBAL');
  assert.equal(compiled({ selector: {} }).sent?.scope, 'NAMESPACE');
  assert.equal(compiled({ selector: { matchLabels: { app: 'web' } } }).sent?.scope, 'WORKLOAD_SELECTOR');
});

test('workloads name the selected policies of their namespace and of the root namespace', () => {
  const { workloads } = compileMesh([
    pod({ name: 'web', labels: { app: 'web', tier: 'front' } }),
    policy({ selector: { matchLabels: { app: 'web' } } }, { name: 'own' }),
    policy({ selector: { matchLabels: { app: 'web', tier: 'back' } } }, { name: 'half' }),
    policy({ selector: { matchLabels: { tier: 'front' } } }, { name: 'root', namespace: 'istio-system' }),
    policy({ selector: { matchLabels: { app: 'web' } } }, { name: 'foreign', namespace: 'bank' }),
    policy({ selector: { matchLabels: { app: 'web' } }, action: 'CUSTOM' }, { name: 'custom' }),
    policy({}, { name: 'whole' }),
  ]);
  assert.deepEqual(workloads.web?.authorizationPolicies, ['istio-system/root', 'shop/own']);
});

test('a policy without an action allows; one without rules or spec matches nothing', () => {
  assert.equal(compiled({}).sent?.action, 'ALLOW');
  assert.deepEqual(compiled({}).sent?.rules, []);
  assert.deepEqual(compiled({}).conditions, ACCEPTED);
  const bare = compileMesh([make('AuthorizationPolicy', { name: 'bare' })]);
  assert.deepEqual([bare.authorizations.bare?.action, bare.authorizations.bare?.rules], ['ALLOW', []]);
});

test('an empty rule matches everything', () => {
  assert.deepEqual(sentRules('ALLOW', {}), [{ clauses: [] }]);
  assert.deepEqual(sentRules('DENY', { from: [], to: [], when: [] }), [{ clauses: [] }]);
});

test('CUSTOM and AUDIT are not sent, and the condition says so', () => {
  for (const action of ['CUSTOM', 'AUDIT'] as const) {
    const result = compiled({ action, rules: [{}] });
    assert.equal(result.sent, undefined);
    assert.deepEqual(result.conditions, UNSUPPORTED);
    assert.match(result.message, new RegExp(`does not support the ${action} action`));
  }
});

test('a policy with targets is not for node proxies; one that no waypoint will enforce is reported', () => {
  const target = { kind: 'Service', group: '', name: 'web' };
  const withTarget = policy({ targetRefs: [target] });
  assert.equal(compiled({ targetRefs: [target] }).sent, undefined);
  assert.deepEqual(compiled({ targetRefs: [target] }).conditions, ['WaypointAccepted=False/TargetNotFound']);
  const unbound = compileMesh([service({ name: 'web' }), withTarget]);
  assert.deepEqual(unbound.conditions('p'), ['WaypointAccepted=False/AncestorNotBound']);
  const labels = { 'istio.io/use-waypoint': 'wp' };
  const bound = compileMesh([waypoint({ name: 'wp' }), service({ name: 'web', labels }), withTarget]);
  assert.deepEqual([bound.authorizations.p, bound.conditions('p')], [undefined, []]);
  const gateway = policy({ targetRef: { kind: 'Gateway', name: 'wp' } });
  assert.deepEqual(compileMesh([waypoint({ name: 'wp' }), gateway]).conditions('p'), []);
  assert.deepEqual(compileMesh([gateway]).conditions('p'), ['WaypointAccepted=False/TargetNotFound']);
  assert.deepEqual(compiled({ targetRefs: [{ kind: 'Pod', name: 'web' }] }).conditions, [
    'WaypointAccepted=False/TargetNotFound',
  ]);
});

test('the dry-run annotation makes a policy that is only reported', () => {
  assert.equal(compiled({}, { annotations: { 'istio.io/dry-run': 'true' } }).sent?.dryRun, true);
  assert.equal(compiled({}, { annotations: { 'istio.io/dry-run': 'false' } }).sent?.dryRun, false);
  assert.equal(compiled({}).sent?.dryRun, false);
});

test('every attribute that is known at L4 is kept', () => {
  const source = {
    principals: ['cluster.local/ns/a/sa/b', '*'],
    notPrincipals: ['*/sa/c'],
    namespaces: ['team-*'],
    notNamespaces: ['x'],
    ipBlocks: ['10.0.0.0/8'],
    notIpBlocks: ['10.1.1.1'],
    serviceAccounts: ['seller', 'bank/clerk'],
    notServiceAccounts: ['bank/thief'],
  };
  const rules = sentRules('ALLOW', {
    from: [{ source }],
    to: [{ operation: { ports: ['80', '443'], notPorts: ['22'] } }],
  });
  assert.deepEqual(rules, [
    {
      clauses: [
        {
          matches: [
            matchOf({
              principals: [{ kind: 'exact', value: 'cluster.local/ns/a/sa/b' }, { kind: 'presence' }],
              notPrincipals: [{ kind: 'suffix', value: '/sa/c' }],
              namespaces: [{ kind: 'prefix', value: 'team-' }],
              notNamespaces: [{ kind: 'exact', value: 'x' }],
              sourceIps: [Cidr.parse('10.0.0.0/8')!],
              notSourceIps: [Cidr.parse('10.1.1.1')!],
              serviceAccounts: [
                { namespace: 'shop', serviceAccount: 'seller' },
                { namespace: 'bank', serviceAccount: 'clerk' },
              ],
              notServiceAccounts: [{ namespace: 'bank', serviceAccount: 'thief' }],
            }),
          ],
        },
        { matches: [matchOf({ destinationPorts: [80, 443], notDestinationPorts: [22] })] },
      ],
    },
  ]);
});

test('every condition key that is known at L4 is kept, each in a clause of its own', () => {
  const rules = sentRules('DENY', {
    when: [
      { key: 'source.ip', values: ['10.0.0.0/8'], notValues: ['10.0.0.1'] },
      { key: 'source.namespace', notValues: ['a'] },
      { key: 'source.principal', values: ['*'] },
      { key: 'destination.ip', values: ['fd00::/8'], notValues: ['fd00::1'] },
      { key: 'destination.port', values: ['80'] },
    ],
  });
  assert.deepEqual(
    rules?.[0]?.clauses.map((clause) => clause.matches),
    [
      [matchOf({ sourceIps: [Cidr.parse('10.0.0.0/8')!], notSourceIps: [Cidr.parse('10.0.0.1')!] })],
      [matchOf({ notNamespaces: [{ kind: 'exact', value: 'a' }] })],
      [matchOf({ principals: [{ kind: 'presence' }] })],
      [matchOf({ destinationIps: [Cidr.parse('fd00::/8')!], notDestinationIps: [Cidr.parse('fd00::1')!] })],
      [matchOf({ destinationPorts: [80] })],
    ],
  );
});

const L7_RULES: readonly (readonly [string, AuthorizationRule])[] = [
  ['hosts', { to: [{ operation: { hosts: ['x'] } }] }],
  ['notHosts', { to: [{ operation: { notHosts: ['x'] } }] }],
  ['methods', { to: [{ operation: { methods: ['GET'] } }] }],
  ['notMethods', { to: [{ operation: { notMethods: ['GET'] } }] }],
  ['paths', { to: [{ operation: { paths: ['/x'] } }] }],
  ['notPaths', { to: [{ operation: { notPaths: ['/x'] } }] }],
  ['requestPrincipals', { from: [{ source: { requestPrincipals: ['*'] } }] }],
  ['notRequestPrincipals', { from: [{ source: { notRequestPrincipals: ['*'] } }] }],
  ['remoteIpBlocks', { from: [{ source: { remoteIpBlocks: ['10.0.0.0/8'] } }] }],
  ['notRemoteIpBlocks', { from: [{ source: { notRemoteIpBlocks: ['10.0.0.0/8'] } }] }],
  ['when[request.headers[x]]', { when: [{ key: 'request.headers[x]', values: ['y'] }] }],
  ['when[constructor]', { when: [{ key: 'constructor', values: ['y'] }] }],
];

for (const [attribute, rule] of L7_RULES) {
  test(`an ALLOW rule with ${attribute} is dropped whole, so that nothing is allowed by it`, () => {
    const l4: AuthorizationRule = { from: [{ source: { namespaces: ['a'] } }] };
    const mixed = { ...rule, from: [...(rule.from ?? []), ...l4.from!] };
    const result = compiled({ action: 'ALLOW', rules: [mixed] });
    assert.deepEqual(result.sent?.rules, []);
    assert.deepEqual(result.conditions, UNSUPPORTED);
    assert.ok(result.message.includes(attribute), result.message);
    assert.match(result.message, /nothing is allowed/);
    assert.equal(compiled({ action: 'ALLOW', rules: [mixed, l4] }).sent?.rules.length, 1, 'other rules stay');
  });

  test(`a DENY rule with nothing but ${attribute} has no effect, and the condition says so`, () => {
    const result = compiled({ action: 'DENY', rules: [rule] });
    assert.deepEqual(result.sent?.rules, []);
    assert.deepEqual(result.conditions, UNSUPPORTED);
    assert.match(result.message, /1 of 1 rules have no effect/);
  });
}

test('of a DENY rule with L4 and L7 attributes the L4 part is enforced alone', () => {
  const byPort = sentRules('DENY', { to: [{ operation: { ports: ['80'], methods: ['GET'] } }] });
  assert.deepEqual(byPort, [{ clauses: [{ matches: [matchOf({ destinationPorts: [80] })] }] }]);
  const byNamespace = sentRules('DENY', {
    from: [{ source: { namespaces: ['a'] } }],
    to: [{ operation: { methods: ['GET'] } }],
  });
  const fromA = { matches: [matchOf({ namespaces: [{ kind: 'exact', value: 'a' }] })] };
  assert.deepEqual(byNamespace, [{ clauses: [fromA] }]);
  const byEither = sentRules('DENY', {
    from: [{ source: { namespaces: ['a'] } }],
    to: [{ operation: { methods: ['GET'] } }, { operation: { ports: ['80'] } }],
  });
  assert.deepEqual(byEither, [{ clauses: [fromA] }], 'GET on any port is denied, too');
  const rest = sentRules('DENY', {
    to: [{ operation: { methods: ['GET'] } }, { operation: { ports: ['80'] } }],
  });
  assert.deepEqual(rest, [{ clauses: [{ matches: [matchOf({ destinationPorts: [80] })] }] }]);
});

test('values that mean nothing never widen an ALLOW policy', () => {
  for (const rule of [
    { to: [{ operation: { ports: ['http'] } }] },
    { to: [{ operation: { ports: ['80', '0'] } }] },
    { to: [{ operation: { notPorts: ['65536'] } }] },
    { from: [{ source: { ipBlocks: ['10.0.0.0/33'] } }] },
    { from: [{ source: { notIpBlocks: ['elsewhere'] } }] },
    { from: [{ source: { serviceAccounts: ['a/b/c'] } }] },
    { from: [{ source: { serviceAccounts: ['*'] } }] },
    { from: [{ source: {} }] },
    { from: [{}] },
    { to: [{ operation: {} }] },
    { when: [{ key: 'destination.port' }] },
    { when: [{ key: 'source.ip', values: ['x'] }] },
  ]) {
    const result = compiled({ action: 'ALLOW', rules: [rule] });
    assert.deepEqual(result.sent?.rules, [], JSON.stringify(rule));
    assert.deepEqual(result.conditions, ['ZtunnelAccepted=False/Invalid']);
  }
});

test('values that mean nothing are left out of a DENY policy, which is reported with their place', () => {
  const some = compiled({ action: 'DENY', rules: [{ to: [{ operation: { ports: ['80', 'http'] } }] }] });
  assert.deepEqual(some.sent?.rules, [{ clauses: [{ matches: [matchOf({ destinationPorts: [80] })] }] }]);
  assert.deepEqual(some.conditions, ['ZtunnelAccepted=False/PartiallyInvalid']);
  assert.match(some.message, /rules\[0\]\.to\[0\]\.ports: "http"/);
  const all = compiled({ action: 'DENY', rules: [{ to: [{ operation: { ports: ['http'] } }] }] });
  assert.deepEqual([all.sent?.rules, all.conditions], [[], ['ZtunnelAccepted=False/Invalid']]);
});

test('an entry of a DENY rule that names nothing denies everything, as it does where L7 is enforced', () => {
  assert.deepEqual(sentRules('DENY', { from: [{ source: {} }] }), [{ clauses: [] }]);
  assert.deepEqual(compiled({ action: 'DENY', rules: [{ from: [{}] }] }).conditions, [
    'ZtunnelAccepted=False/PartiallyInvalid',
  ]);
});

interface Connection {
  readonly namespace: string | undefined;
  readonly account: string;
  readonly ip: string;
  readonly port: number;
  readonly method: string;
}

const list = (...values: readonly string[]) =>
  fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }), { nil: undefined });
const source = fc.record({
  namespaces: list('a', 'b*', '*'),
  notNamespaces: list('a', 'b'),
  principals: list('cluster.local/ns/a/sa/x', '*', '*/sa/y', 'cluster.local/ns/a/*'),
  notPrincipals: list('*', 'cluster.local/ns/b/sa/x'),
  serviceAccounts: list('a/x', 'y'),
  ipBlocks: list('10.0.0.1', '10.0.0.0/31', 'fd00::/8'),
  notIpBlocks: list('10.0.0.1', 'fd00::1'),
});
const operation = fc.record({
  ports: list('80', '81'),
  notPorts: list('81', '82'),
  methods: list('GET', 'PUT'),
});
const when = fc.oneof(
  fc.record({ key: fc.constant('destination.port'), values: list('80', '81'), notValues: list('81') }),
  fc.record({ key: fc.constant('source.namespace'), values: list('a', '*'), notValues: list('b') }),
  fc.record({ key: fc.constant('request.method'), values: list('GET') }),
);
const some = <T>(entry: fc.Arbitrary<T>) => fc.option(fc.array(entry, { maxLength: 2 }), { nil: undefined });
const rule: fc.Arbitrary<AuthorizationRule> = fc
  .record({
    from: some(source.map((one) => ({ source: stripped(one) }))),
    to: some(operation.map((one) => ({ operation: stripped(one) }))),
    when: some(when.map(stripped)),
  })
  .map((one) => stripped(one) as AuthorizationRule);
const connection: fc.Arbitrary<Connection> = fc.record({
  namespace: fc.constantFrom('a', 'b', 'shop', undefined),
  account: fc.constantFrom('x', 'y'),
  ip: fc.constantFrom('10.0.0.0', '10.0.0.1', 'fd00::1'),
  port: fc.constantFrom(80, 81, 82),
  method: fc.constantFrom('GET', 'PUT'),
});

function stripped<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}

/** What the words of the policy mean, by the book and with L7 attributes. */
function matchesAsWritten(written: AuthorizationRule, to: Connection): boolean {
  const principal = to.namespace === undefined ? '' : `cluster.local/ns/${to.namespace}/sa/${to.account}`;
  const one = (patterns: readonly string[] | undefined, value: string): boolean =>
    (patterns ?? []).some((pattern) => {
      if (pattern === '*') return value !== '';
      if (pattern.startsWith('*')) return value.endsWith(pattern.slice(1)) && value !== '';
      return pattern.endsWith('*')
        ? value.startsWith(pattern.slice(0, -1)) && value !== ''
        : value === pattern;
    });
  const inBlock = (blocks: readonly string[] | undefined) =>
    (blocks ?? []).some((block) => Cidr.parse(block)!.contains(to.ip as IpAddress));
  const sourceMatches = (from: AuthorizationSource): boolean =>
    (from.namespaces === undefined || one(from.namespaces, to.namespace ?? '')) &&
    !one(from.notNamespaces, to.namespace ?? '') &&
    (from.principals === undefined || one(from.principals, principal)) &&
    !one(from.notPrincipals, principal) &&
    (from.serviceAccounts === undefined ||
      (to.namespace !== undefined &&
        from.serviceAccounts.some(
          (account) =>
            (account.includes('/') ? account : `shop/${account}`) === `${to.namespace}/${to.account}`,
        ))) &&
    (from.ipBlocks === undefined || inBlock(from.ipBlocks)) &&
    !inBlock(from.notIpBlocks);
  const attribute = (key: string) =>
    key === 'destination.port'
      ? String(to.port)
      : key === 'source.namespace'
        ? (to.namespace ?? '')
        : to.method;
  return (
    ((written.from ?? []).length === 0 || written.from!.some((entry) => sourceMatches(entry.source ?? {}))) &&
    ((written.to ?? []).length === 0 ||
      written.to!.some(
        ({ operation: op = {} }) =>
          (op.ports === undefined || op.ports.includes(String(to.port))) &&
          !(op.notPorts ?? []).includes(String(to.port)) &&
          (op.methods === undefined || op.methods.includes(to.method)),
      )) &&
    (written.when ?? []).every(
      ({ key, values, notValues }) =>
        (values === undefined || one(values, attribute(key))) && !one(notValues, attribute(key)),
    )
  );
}

function matchesAsSent(sent: Authorization, to: Connection): boolean {
  const source =
    to.namespace === undefined
      ? undefined
      : policySourceOf({ trustDomain: 'cluster.local', namespace: to.namespace, serviceAccount: to.account });
  const subject = new PolicySubject({
    source,
    sourceIp: to.ip as IpAddress,
    destinationIp: '10.0.0.9' as IpAddress,
    destinationPort: to.port,
  });
  return new CompiledPolicy(sent).matches(subject);
}

function usesL7(written: AuthorizationRule): boolean {
  return (
    (written.to ?? []).some((entry) => entry.operation?.methods !== undefined) ||
    (written.when ?? []).some((entry) => entry.key.startsWith('request.'))
  );
}

test('what is sent for ALLOW matches only what was written, and exactly that when nothing is L7 or empty', () => {
  fc.assert(
    fc.property(rule, connection, (written, to) => {
      const { sent, conditions } = compiled({ action: 'ALLOW', rules: [written] });
      const [asSent, asWritten] = [matchesAsSent(sent!, to), matchesAsWritten(written, to)];
      assert.ok(!asSent || asWritten, 'wider than written');
      if (conditions[0] === ACCEPTED[0]) assert.equal(asSent, asWritten);
    }),
    { numRuns: 5000 },
  );
});

test('what is sent for DENY matches all that was written, unless nothing or not all of a list is L4', () => {
  fc.assert(
    fc.property(rule, connection, (written, to) => {
      const { sent } = compiled({ action: 'DENY', rules: [written] });
      const [asSent, asWritten] = [matchesAsSent(sent!, to), matchesAsWritten(written, to)];
      if (!usesL7(written)) assert.equal(asSent, asWritten);
      else if ((written.from ?? []).some((entry) => Object.keys(entry.source ?? {}).length === 0)) return;
      else if ((written.from ?? []).length > 0) assert.ok(asSent || !asWritten, 'laxer than written');
    }),
    { numRuns: 5000 },
  );
});
