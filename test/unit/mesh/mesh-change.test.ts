import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MeshChange } from '../../../src/mesh/mesh-change.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { evaluate } from '../../../src/mesh/policy-evaluation.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { ip, policy, rule, service, text, workload } from './builders.ts';

const inShop = workload({ name: 'a', addresses: [ip('10.0.0.1')] });
const inBank = workload({ name: 'b', namespace: 'bank', addresses: [ip('10.0.0.2')] });
const selected = workload({ name: 'c', namespace: 'bank', authorizationPolicies: ['shop/p'] });
const all = [inShop, inBank, selected];

function meshOf(...workloads: readonly Workload[]): MeshState {
  const state = new MeshState();
  for (const one of workloads) state.upsertWorkload(one);
  return state;
}

/** The changes that listeners hear of while the action runs. */
function changes(state: MeshState, action: () => void): MeshChange[] {
  const heard: MeshChange[] = [];
  const stop = state.onChange((change) => heard.push(change));
  action();
  stop();
  return heard;
}

function affected(state: MeshState, action: () => void): string[] {
  const [change] = changes(state, action);
  return all.filter((one) => change!.affectsVerdict(one)).map((one) => one.name);
}

test('a policy affects the workloads that its scope reaches, when it comes, changes and goes', () => {
  const reach = {
    GLOBAL: ['a', 'b', 'c'],
    NAMESPACE: ['a', 'c'],
    WORKLOAD_SELECTOR: ['c'],
  } as const;
  for (const scope of ['GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'] as const) {
    const state = meshOf(...all);
    const one = policy({ name: 'p', scope });
    assert.deepEqual(
      affected(state, () => state.upsertAuthorization(one)),
      reach[scope],
      `${scope} comes`,
    );
    assert.deepEqual(
      affected(state, () => state.upsertAuthorization({ ...one, action: 'DENY' })),
      reach[scope],
    );
    assert.deepEqual(
      affected(state, () => state.removeAuthorization('shop/p')),
      reach[scope],
      `${scope} goes`,
    );
  }
});

test('a policy that changes its scope affects whom it left as well as whom it reaches now', () => {
  const state = meshOf(...all);
  state.upsertAuthorization(policy({ name: 'p', scope: 'NAMESPACE' }));
  const moved = policy({ name: 'p', scope: 'WORKLOAD_SELECTOR' });
  assert.deepEqual(
    affected(state, () => state.upsertAuthorization(moved)),
    ['a', 'c'],
  );
});

test('a workload that is selected by other policies than before is affected, without any policy changing', () => {
  const state = meshOf(...all);
  const relabelled = { ...inBank, authorizationPolicies: ['bank/q'] };
  assert.deepEqual(
    affected(state, () => state.upsertWorkload(relabelled)),
    ['b'],
  );
  assert.deepEqual(
    affected(state, () => state.upsertWorkload(relabelled)),
    [],
  );
});

test('a workload that moves to another namespace comes under other policies', () => {
  const state = meshOf(...all);
  assert.deepEqual(
    affected(state, () => state.upsertWorkload({ ...inBank, namespace: 'shop' })),
    ['b'],
  );
});

test('a change that policies cannot see affects nobody', () => {
  const state = meshOf(...all);
  assert.deepEqual(
    affected(state, () => state.upsertWorkload({ ...inShop, status: 'UNHEALTHY' })),
    [],
  );
  assert.deepEqual(
    affected(state, () => state.upsertService(service({ name: 'web' }))),
    [],
  );
});

test('another service account, namespace or trust domain is another identity', () => {
  for (const fields of [{ serviceAccount: 'x' }, { namespace: 'x' }, { trustDomain: 'x' }]) {
    const state = meshOf(inShop);
    const [change] = changes(state, () => state.upsertWorkload({ ...inShop, ...fields }));
    assert.deepEqual(change!.identityChanged, new Set([inShop.uid]));
  }
});

test('workloads that come and go are told', () => {
  const state = meshOf(inShop);
  const [came] = changes(state, () => state.upsertWorkload(inBank));
  assert.deepEqual(came!.added, new Set([inBank.uid]));
  const [went] = changes(state, () => state.removeAddress(inShop.uid));
  assert.deepEqual(went!.removed, new Set([inShop.uid]));
  assert.ok(went!.affectsVerdict(inShop));
});

test('a batch is one change, of which only first and last state count', () => {
  const state = meshOf(inShop);
  const heard = changes(state, () =>
    state.batch(() => {
      state.removeAddress(inShop.uid);
      state.upsertWorkload({ ...inShop, serviceAccount: 'other' });
      state.upsertWorkload(inBank);
      state.removeAddress(inBank.uid);
      state.batch(() => state.upsertAuthorization(policy({ name: 'p', scope: 'GLOBAL' })));
    }),
  );
  assert.equal(heard.length, 1);
  const { added, removed, identityChanged } = heard[0]!;
  assert.deepEqual(
    { added, removed, identityChanged },
    {
      added: new Set(),
      removed: new Set(),
      identityChanged: new Set([inShop.uid]),
    },
  );
  assert.ok(heard[0]!.affectsVerdict(inBank));
});

test('a batch that throws is told as far as it came', () => {
  const state = meshOf();
  const heard = changes(state, () =>
    assert.throws(() =>
      state.batch(() => {
        state.upsertWorkload(inShop);
        throw new Error('bad resource');
      }),
    ),
  );
  assert.deepEqual(
    heard.map((change) => change.added),
    [new Set([inShop.uid])],
  );
});

test('a listener that is stopped hears nothing more, and every update counts', () => {
  const state = meshOf();
  let heard = 0;
  const stop = state.onChange(() => heard++);
  state.upsertWorkload(inShop);
  stop();
  state.upsertWorkload(inBank);
  assert.equal(heard, 1);
  assert.equal(state.version, 2);
});

test('no verdict ever changes without the workload being told as affected', () => {
  const connection = { sourceIp: ip('10.9.9.9'), destinationIp: ip('10.0.0.1'), destinationPort: 80 };
  const anyPolicy = fc
    .record({
      name: fc.constantFrom('p', 'q'),
      namespace: fc.constantFrom('shop', 'bank'),
      scope: fc.constantFrom('GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'),
      action: fc.constantFrom('ALLOW', 'DENY'),
      rules: fc.constantFrom([], [rule([{ notPrincipals: [text('*')] }])]),
    } as const)
    .map(policy);
  const anyWorkload = fc.tuple(fc.constantFrom(...all), fc.subarray(['shop/p', 'bank/q', 'bank/p']));
  const anyUpdate = fc.oneof(
    anyPolicy.map((one) => (state: MeshState) => state.upsertAuthorization(one)),
    fc.constantFrom('shop/p', 'bank/q').map((name) => (state: MeshState) => state.removeAuthorization(name)),
    anyWorkload.map(
      ([one, authorizationPolicies]) =>
        (state: MeshState) =>
          state.upsertWorkload({ ...one, authorizationPolicies }),
    ),
    fc.constantFrom(...all).map((one) => (state: MeshState) => state.removeAddress(one.uid)),
  );
  fc.assert(
    fc.property(fc.array(fc.array(anyUpdate, { maxLength: 4 }), { maxLength: 15 }), (batches) => {
      const state = new MeshState();
      const allowed = (): Map<string, boolean> =>
        new Map(
          [...state.workloads()].map((one) => [
            one.uid,
            evaluate(state.policiesFor(one), connection).allowed,
          ]),
        );
      for (const batch of batches) {
        const before = allowed();
        const applyAll = (): void => {
          for (const update of batch) update(state);
        };
        const [change] = changes(state, () => state.batch(applyAll));
        for (const [uid, verdict] of allowed()) {
          if (before.has(uid) && before.get(uid) === verdict) continue;
          assert.ok(change!.affectsVerdict(state.workloadByUid(uid)!), `${uid} is now ${verdict}`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
