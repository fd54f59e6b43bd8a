import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authorization, AuthorizationMatch } from '../../../src/mesh/authorization.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { evaluate, explain, type PolicyDecision } from '../../../src/mesh/policy-evaluation.ts';
import { type PolicyConnection, policySourceOf } from '../../../src/mesh/policy-subject.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { block, ip, policy, rule, spiffe, text, workload } from './builders.ts';

const pod = workload({ name: 'server', addresses: [ip('10.0.0.2')] });
const fromWeb: PolicyConnection = {
  source: policySourceOf(spiffe('spiffe://cluster.local/ns/shop/sa/web')),
  sourceIp: ip('10.0.0.1'),
  destinationIp: ip('10.0.0.2'),
  destinationPort: 8080,
};
const plaintext: PolicyConnection = { ...fromWeb, source: undefined };

function meshOf(...policies: readonly Authorization[]): MeshState {
  const state = new MeshState();
  for (const one of policies) state.upsertAuthorization(one);
  return state;
}

function decide(
  policies: readonly Authorization[],
  connection: PolicyConnection = fromWeb,
  destination: Workload = pod,
): PolicyDecision {
  return evaluate(meshOf(...policies).policiesFor(destination), connection);
}

/** Whether an ALLOW policy with this one match lets the connection in. */
function allows(match: Partial<AuthorizationMatch>, connection: PolicyConnection = fromWeb): boolean {
  return decide([policy({ name: 'p', rules: [rule([match])] })], connection).allowed;
}

const denyWeb = policy({
  name: 'deny-web',
  action: 'DENY',
  rules: [rule([{ principals: [text('cluster.local/ns/shop/sa/web')] }])],
});
const allowWeb = policy({ ...denyWeb, name: 'allow-web', action: 'ALLOW' });

test('without policies everything is allowed', () => {
  assert.deepEqual(decide([]), { allowed: true, reason: 'no allow policy applies' });
});

test('a matching DENY policy denies, even if an ALLOW policy matches', () => {
  assert.deepEqual(decide([allowWeb, denyWeb]), {
    allowed: false,
    reason: 'explicitly denied by: shop/deny-web',
    policy: 'shop/deny-web',
  });
});

test('with DENY policies only, what none of them matches is allowed', () => {
  const connection = {
    ...fromWeb,
    source: policySourceOf(spiffe('spiffe://cluster.local/ns/shop/sa/other')),
  };
  assert.equal(decide([denyWeb], connection).allowed, true);
});

test('with an ALLOW policy, what none of them matches is denied', () => {
  const connection = {
    ...fromWeb,
    source: policySourceOf(spiffe('spiffe://cluster.local/ns/shop/sa/other')),
  };
  assert.deepEqual(decide([allowWeb], connection), {
    allowed: false,
    reason: 'allow policies exist, but none allowed',
  });
  assert.deepEqual(decide([allowWeb]), {
    allowed: true,
    reason: 'allowed by: shop/allow-web',
    policy: 'shop/allow-web',
  });
});

// The three empties

test('an ALLOW policy without rules denies everything', () => {
  const decision = decide([policy({ name: 'nothing', action: 'ALLOW' })]);
  assert.deepEqual(decision, { allowed: false, reason: 'allow policies exist, but none allowed' });
});

test('a DENY policy without rules denies nothing', () => {
  assert.equal(decide([policy({ name: 'nothing', action: 'DENY' })]).allowed, true);
});

test('a match without any list never matches, so that a DENY policy of L7 attributes has no effect', () => {
  assert.equal(decide([policy({ name: 'l7', action: 'DENY', rules: [rule([{}])] })]).allowed, true);
  assert.equal(decide([policy({ name: 'l7', action: 'ALLOW', rules: [rule([{}])] })]).allowed, false);
});

test('a clause without matches asks nothing, and neither does a rule without clauses', () => {
  assert.equal(decide([policy({ name: 'p', action: 'DENY', rules: [rule([])] })]).allowed, false);
  assert.equal(decide([policy({ name: 'p', action: 'DENY', rules: [rule()] })]).allowed, false);
});

test('a match without lists beside another one does not weaken the other', () => {
  const rules = [rule([{}, { destinationPorts: [9999] }])];
  assert.equal(decide([policy({ name: 'p', rules })]).allowed, false);
});

// STRICT

const strict = policy({
  name: 'istio_converted_static_strict',
  namespace: 'istio-system',
  scope: 'WORKLOAD_SELECTOR',
  action: 'DENY',
  rules: [rule([{ notPrincipals: [text('*')] }])],
});
const strictPod = { ...pod, authorizationPolicies: ['istio-system/istio_converted_static_strict'] };

test('STRICT denies plaintext and leaves every identity alone', () => {
  assert.deepEqual(decide([strict], plaintext, strictPod), {
    allowed: false,
    reason: 'explicitly denied by: istio-system/istio_converted_static_strict',
    policy: 'istio-system/istio_converted_static_strict',
  });
  assert.equal(decide([strict], fromWeb, strictPod).allowed, true);
});

test('STRICT does not reach a workload that does not name it', () => {
  assert.equal(decide([strict], plaintext, pod).allowed, true);
});

test('STRICT with a port that stays permissive denies plaintext on all other ports', () => {
  const exceptPort = policy({
    ...strict,
    rules: [rule([{ notPrincipals: [text('*')] }], [{ notDestinationPorts: [9080] }])],
  });
  assert.equal(decide([exceptPort], plaintext, strictPod).allowed, false);
  assert.equal(decide([exceptPort], { ...plaintext, destinationPort: 9080 }, strictPod).allowed, true);
});

test('two ports that are STRICT under PERMISSIVE are each closed to plaintext', () => {
  const portRule = (port: number) => rule([{ notPrincipals: [text('*')] }], [{ destinationPorts: [port] }]);
  const perPort = policy({ ...strict, rules: [portRule(8080), portRule(9090)] });
  const at = (destinationPort: number): boolean =>
    decide([perPort], { ...plaintext, destinationPort }, strictPod).allowed;
  assert.deepEqual([8080, 9090, 7070].map(at), [false, false, true]);
});

// Scope

test('a policy of a namespace applies there only, a global one everywhere', () => {
  const elsewhere = { ...pod, namespace: 'bank' };
  assert.equal(decide([denyWeb], fromWeb, elsewhere).allowed, true);
  const globally = policy({ ...denyWeb, namespace: 'istio-system', scope: 'GLOBAL' });
  assert.equal(decide([globally], fromWeb, elsewhere).allowed, false);
});

test('a policy that selects workloads applies to those that name it', () => {
  const selecting = policy({ ...denyWeb, scope: 'WORKLOAD_SELECTOR' });
  assert.equal(decide([selecting]).allowed, true);
  const selected = { ...pod, authorizationPolicies: ['shop/deny-web'] };
  assert.equal(decide([selecting], fromWeb, selected).allowed, false);
});

test('a policy that is named and unknown is skipped, and told by the explanation', () => {
  const named = { ...pod, authorizationPolicies: ['shop/not-yet-here'] };
  const set = meshOf().policiesFor(named);
  assert.equal(evaluate(set, fromWeb).allowed, true);
  assert.deepEqual(explain(set, fromWeb).unknownPolicies, ['shop/not-yet-here']);
});

test('a policy takes effect where it goes when its scope changes', () => {
  const state = meshOf(denyWeb);
  const bank = { ...pod, namespace: 'bank' };
  const allowed = (destination: Workload): boolean =>
    evaluate(state.policiesFor(destination), fromWeb).allowed;
  assert.deepEqual([pod, bank].map(allowed), [false, true]);
  state.upsertAuthorization({ ...denyWeb, scope: 'GLOBAL' });
  assert.deepEqual([pod, bank].map(allowed), [false, false]);
  state.upsertAuthorization({ ...denyWeb, scope: 'WORKLOAD_SELECTOR' });
  assert.deepEqual([pod, bank].map(allowed), [true, true]);
  state.upsertAuthorization(denyWeb);
  assert.deepEqual([pod, bank].map(allowed), [false, true]);
  state.removeAuthorization('shop/deny-web');
  assert.deepEqual([pod, bank].map(allowed), [true, true]);
});

// Attributes

test('principals are compared without their scheme: exactly, by prefix, by suffix, by presence', () => {
  const principal = (pattern: string): boolean => allows({ principals: [text(pattern)] });
  const patterns = ['cluster.local/ns/shop/sa/web', 'cluster.local/ns/shop/*', '*/sa/web', '*'];
  assert.deepEqual(patterns.map(principal), [true, true, true, true]);
  const others = [
    'spiffe://cluster.local/ns/shop/sa/web',
    'cluster.local/ns/shop/sa/we',
    'spiffe://*',
    '*/sa/db',
  ];
  assert.deepEqual(others.map(principal), [false, false, false, false]);
});

test('without identity no principal, namespace or service account matches', () => {
  assert.equal(allows({ principals: [text('*')] }, plaintext), false);
  assert.equal(allows({ namespaces: [text('*')] }, plaintext), false);
  assert.equal(allows({ serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }, plaintext), false);
});

test('without identity every negative of them is satisfied', () => {
  assert.equal(allows({ notPrincipals: [text('*')] }, plaintext), true);
  assert.equal(allows({ notNamespaces: [text('*')] }, plaintext), true);
  assert.equal(
    allows({ notServiceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }, plaintext),
    true,
  );
});

test('namespace and service account are those of the SPIFFE ID, whatever its trust domain', () => {
  const foreign = { ...fromWeb, source: policySourceOf(spiffe('spiffe://other.td/ns/shop/sa/web')) };
  for (const connection of [fromWeb, foreign]) {
    assert.equal(allows({ namespaces: [text('shop')] }, connection), true);
    assert.equal(
      allows({ serviceAccounts: [{ namespace: 'shop', serviceAccount: 'web' }] }, connection),
      true,
    );
    assert.equal(
      allows({ serviceAccounts: [{ namespace: 'bank', serviceAccount: 'web' }] }, connection),
      false,
    );
  }
});

test('a long list of exact names is searched like a short one', () => {
  const names = Array.from({ length: 20 }, (_, i) => text(`ns-${i}`));
  assert.equal(allows({ namespaces: names }), false);
  assert.equal(allows({ namespaces: [...names, text('shop')] }), true);
});

test('addresses are compared by block, each family with its own', () => {
  const source = (pattern: string, sourceIp = '10.0.0.1'): boolean =>
    allows({ sourceIps: [block(pattern)] }, { ...fromWeb, sourceIp: ip(sourceIp) });
  assert.deepEqual(
    [source('10.0.0.0/8'), source('10.0.0.1'), source('10.0.0.2'), source('0.0.0.0/0'), source('::/0')],
    [true, true, false, true, false],
  );
  assert.deepEqual(
    [source('fd00::/64', 'fd00::1:1'), source('fd00::/64', 'fd00:0:0:1::1'), source('0.0.0.0/0', 'fd00::1')],
    [true, false, false],
  );
  assert.equal(allows({ destinationIps: [block('10.0.0.2/32')] }), true);
  assert.equal(allows({ notDestinationIps: [block('10.0.0.0/24')] }), false);
});

test('a source block is looked for among source addresses, not among destinations', () => {
  assert.equal(allows({ sourceIps: [block('10.0.0.2/32')] }), false);
  assert.equal(allows({ notSourceIps: [block('10.0.0.1/32')] }), false);
});

test('within a list one entry is enough, across lists all must agree', () => {
  assert.equal(allows({ destinationPorts: [80, 8080], namespaces: [text('bank'), text('shop')] }), true);
  assert.equal(allows({ destinationPorts: [80], namespaces: [text('shop')] }), false);
  assert.equal(allows({ destinationPorts: [8080], notNamespaces: [text('shop')] }), false);
});

test('within a clause one match is enough, across clauses all must match', () => {
  const [good, bad]: Partial<AuthorizationMatch>[] = [
    { destinationPorts: [8080] },
    { destinationPorts: [1] },
  ];
  const allowed = (...clauses: Partial<AuthorizationMatch>[][]): boolean =>
    decide([policy({ name: 'p', rules: [rule(...clauses)] })]).allowed;
  assert.equal(allowed([bad!, good!]), true);
  assert.equal(allowed([good!], [good!]), true);
  assert.equal(allowed([good!], [bad!]), false);
});

test('one rule of a policy is enough', () => {
  const rules = [rule([{ destinationPorts: [1] }]), rule([{ destinationPorts: [8080] }])];
  assert.equal(decide([policy({ name: 'p', rules })]).allowed, true);
});

// Dry run

test('a dry-run policy decides nothing and is told', () => {
  const rehearsed = policy({ ...denyWeb, dryRun: true });
  assert.deepEqual(decide([rehearsed]), {
    allowed: true,
    reason: 'no allow policy applies',
    dryRun: { allowed: false, reason: 'explicitly denied by: shop/deny-web', policy: 'shop/deny-web' },
  });
});

test('a dry-run ALLOW policy that would let nobody else in is told, and lets everybody in', () => {
  const rehearsed = policy({ ...allowWeb, name: 'rehearsed', dryRun: true, scope: 'WORKLOAD_SELECTOR' });
  const selected = { ...pod, authorizationPolicies: ['shop/rehearsed'] };
  const decision = decide([rehearsed], plaintext, selected);
  assert.equal(decision.allowed, true);
  assert.deepEqual(decision.dryRun, { allowed: false, reason: 'allow policies exist, but none allowed' });
});

test('a policy that leaves dry run is in force', () => {
  const state = meshOf(policy({ ...denyWeb, dryRun: true }));
  assert.equal(evaluate(state.policiesFor(pod), fromWeb).allowed, true);
  state.upsertAuthorization(denyWeb);
  assert.deepEqual(evaluate(state.policiesFor(pod), fromWeb), {
    allowed: false,
    reason: 'explicitly denied by: shop/deny-web',
    policy: 'shop/deny-web',
  });
});

// Explanation

test('an explanation names the list that a connection fails', () => {
  const rules = [
    rule([{ principals: [text('a/b')], destinationPorts: [8080] }, {}], [{ destinationPorts: [8080] }]),
  ];
  const { decision, policies } = explain(meshOf(policy({ name: 'p', rules })).policiesFor(pod), fromWeb);
  assert.equal(decision.allowed, false);
  assert.deepEqual(
    policies.map(({ policy: { name }, matched, rules: explained }) => ({ name, matched, explained })),
    [
      {
        name: 'p',
        matched: false,
        explained: [
          {
            matched: false,
            clauses: [
              { matched: false, matches: [{ mismatch: 'principals' }, { mismatch: 'empty' }] },
              { matched: true, matches: [{}] },
            ],
          },
        ],
      },
    ],
  );
});

test('a policy that is named and applies by its namespace as well is explained once', () => {
  const named = { ...pod, authorizationPolicies: ['shop/deny-web'] };
  assert.equal(explain(meshOf(denyWeb).policiesFor(named), fromWeb).policies.length, 1);
});
