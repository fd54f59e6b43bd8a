/** Verdicts on any connection under any policies, against the naive mesh. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Authorization, AuthorizationMatch, StringMatch } from '../../../src/mesh/authorization.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { evaluate, explain, type PolicyVerdict } from '../../../src/mesh/policy-evaluation.ts';
import { type PolicyConnection, policySourceOf } from '../../../src/mesh/policy-subject.ts';
import { block, ip, match, policy, spiffe, workload } from './builders.ts';
import { NaiveMesh, type NaiveVerdict, policyMatches } from './oracle.ts';

const IDENTITIES = [
  'spiffe://cluster.local/ns/shop/sa/web',
  'spiffe://cluster.local/ns/shop/sa/db',
  'spiffe://cluster.local/ns/bank/sa/web',
  'spiffe://other.td/ns/shop/sa/web',
].map(spiffe);
const IPS = ['10.0.0.1', '10.0.1.1', '192.168.0.1', 'fd00::1', 'fd00::2:1'].map(ip);
const BLOCKS = [
  '10.0.0.0/8',
  '10.0.0.0/24',
  '10.0.0.1/32',
  '0.0.0.0/0',
  'fd00::1/128',
  'fd00::/64',
  '::/0',
].map(block);
const PORTS = [80, 443, 8080];

const anyText = (values: readonly string[]): fc.Arbitrary<StringMatch> =>
  fc.oneof(
    fc.constantFrom(...values).map((value): StringMatch => ({ kind: 'exact', value })),
    fc.constantFrom('', 'cluster.local/', 'sh').map((value): StringMatch => ({ kind: 'prefix', value })),
    fc.constantFrom('', '/sa/web', 'op').map((value): StringMatch => ({ kind: 'suffix', value })),
    fc.constant<StringMatch>({ kind: 'presence' }),
  );

const anyPrincipal = anyText([
  'cluster.local/ns/shop/sa/web',
  'cluster.local/ns/shop/sa/db',
  'cluster.local/ns/bank/sa/web',
  'other.td/ns/shop/sa/web',
  '',
]);
const anyNamespace = anyText(['shop', 'bank', 'nowhere', '']);
const anyAccount = fc.record({
  namespace: fc.constantFrom('shop', 'bank', ''),
  serviceAccount: fc.constantFrom('web', 'db', ''),
});

/** Most lists are empty, as in life; otherwise hardly anything would ever match. */
const rarely = <T>(one: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[]> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant<T[]>([]) },
    { weight: 2, arbitrary: fc.array(one, { maxLength }) },
  );

const anyMatch: fc.Arbitrary<AuthorizationMatch> = fc
  .record({
    namespaces: rarely(anyNamespace, 6),
    notNamespaces: rarely(anyNamespace),
    principals: rarely(anyPrincipal, 6),
    notPrincipals: rarely(anyPrincipal),
    sourceIps: rarely(fc.constantFrom(...BLOCKS)),
    notSourceIps: rarely(fc.constantFrom(...BLOCKS)),
    destinationIps: rarely(fc.constantFrom(...BLOCKS)),
    notDestinationIps: rarely(fc.constantFrom(...BLOCKS)),
    destinationPorts: rarely(fc.constantFrom(...PORTS)),
    notDestinationPorts: rarely(fc.constantFrom(...PORTS)),
    serviceAccounts: rarely(anyAccount),
    notServiceAccounts: rarely(anyAccount),
  })
  .map(match);

const anyPolicy: fc.Arbitrary<Authorization> = fc
  .record({
    name: fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5'),
    namespace: fc.constantFrom('shop', 'bank'),
    scope: fc.constantFrom('GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'),
    action: fc.constantFrom('ALLOW', 'DENY'),
    dryRun: fc.oneof(
      { weight: 4, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
    rules: fc.array(
      fc.record({
        clauses: fc.array(fc.record({ matches: fc.array(anyMatch, { maxLength: 3 }) }), { maxLength: 3 }),
      }),
      { maxLength: 3 },
    ),
  } as const)
  .map(policy);

const anyConnection: fc.Arbitrary<PolicyConnection> = fc.record({
  source: fc.option(fc.constantFrom(...IDENTITIES.map(policySourceOf)), { nil: undefined }),
  sourceIp: fc.constantFrom(...IPS),
  destinationIp: fc.constantFrom(...IPS),
  destinationPort: fc.constantFrom(...PORTS),
});

const anyNames = fc.subarray(['shop/p1', 'shop/p2', 'bank/p3', 'bank/p4', 'shop/unknown']);

type Step =
  | { readonly upsert: Authorization }
  | { readonly remove: string }
  | { readonly connect: PolicyConnection; readonly namespace: string; readonly names: readonly string[] };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  anyPolicy.map((upsert) => ({ upsert })),
  fc.constantFrom('shop/p1', 'shop/p2', 'bank/p1', 'bank/p3').map((remove) => ({ remove })),
  fc.record({ connect: anyConnection, namespace: fc.constantFrom('shop', 'bank', 'quiet'), names: anyNames }),
);

function assertSameVerdict(actual: PolicyVerdict, expected: NaiveVerdict): void {
  assert.equal(actual.allowed, expected.allowed, actual.reason);
  if (expected.deciding.length === 0) assert.equal(actual.policy, undefined);
  else assert.ok(expected.deciding.includes(actual.policy!), `${actual.policy} did not decide`);
}

test('policies that come and go between connections decide as the naive mesh does', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 5, maxLength: 40 }), (steps) => {
      const state = new MeshState();
      const naive = new NaiveMesh();
      for (const step of steps) {
        if ('upsert' in step) {
          state.upsertAuthorization(step.upsert);
          naive.upsertAuthorization(step.upsert);
        } else if ('remove' in step) {
          state.removeAuthorization(step.remove);
          naive.removeAuthorization(step.remove);
        } else {
          const destination = workload({
            name: 'w',
            namespace: step.namespace,
            authorizationPolicies: step.names,
          });
          const decision = evaluate(state.policiesFor(destination), step.connect);
          assertSameVerdict(decision, naive.evaluate(destination, step.connect, false));
          if (decision.dryRun !== undefined) {
            assertSameVerdict(decision.dryRun, naive.evaluate(destination, step.connect, true));
          }
        }
      }
    }),
    { numRuns: 600 },
  );
});

test('an explanation decides as the evaluation does and tells of every policy whether it matched', () => {
  fc.assert(
    fc.property(
      fc.array(anyPolicy, { maxLength: 8 }),
      anyConnection,
      anyNames,
      (policies, connection, names) => {
        const state = new MeshState();
        for (const one of policies) state.upsertAuthorization(one);
        const destination = workload({ name: 'w', authorizationPolicies: names });
        const explanation = explain(state.policiesFor(destination), connection);
        assert.deepEqual(explanation.decision, evaluate(state.policiesFor(destination), connection));
        assert.equal(
          new Set(explanation.policies.map((one) => one.policy)).size,
          explanation.policies.length,
        );
        for (const one of explanation.policies) {
          assert.equal(one.matched, policyMatches(one.policy, connection));
          assert.equal(
            one.matched,
            one.rules.some((rule) => rule.matched),
          );
          for (const rule of one.rules) {
            assert.equal(
              rule.matched,
              rule.clauses.every((clause) => clause.matched),
            );
            for (const { matched, matches } of rule.clauses) {
              assert.equal(
                matched,
                matches.length === 0 || matches.some((one) => one.mismatch === undefined),
              );
            }
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});
