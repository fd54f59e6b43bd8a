/** Conditions on objects: written when they differ, with times that only change with the status. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredCondition } from '../../../../src/controlplane/compile/desired-condition.ts';
import { updateConditions } from '../../../../src/controlplane/status/condition-update.ts';
import { StatusWriter } from '../../../../src/controlplane/status/status-writer.ts';
import type { Condition } from '../../../../src/objects/core-types.ts';
import type { FolderSource } from '../../../../src/objects/folder-source.ts';
import { eventually } from '../../../support/eventually.ts';
import { makeFolder, openSource, putObjects } from '../../../support/manifest-folder.ts';
import { make } from '../../../support/mesh-objects.ts';

const YES: DesiredCondition = {
  type: 'ZtunnelAccepted',
  status: 'True',
  reason: 'Accepted',
  message: 'fine',
};
const NO: DesiredCondition = { ...YES, status: 'False', reason: 'Invalid', message: 'not fine' };

function update(
  desired: DesiredCondition[],
  present: Condition[],
  generation = 1,
  remembered: Condition[] = [],
) {
  return updateConditions({ desired, present, remembered, generation, now: '2026-06-01T00:00:00Z' });
}

test('a new condition has the time of now and the generation it was found for', () => {
  assert.deepEqual(update([YES], [], 7), [
    { ...YES, observedGeneration: 7, lastTransitionTime: '2026-06-01T00:00:00Z' },
  ]);
});

test('the time changes with the status only', () => {
  const old = { ...YES, observedGeneration: 1, lastTransitionTime: '2026-01-01T00:00:00Z' };
  assert.equal(update([YES], [old]), undefined);
  assert.equal(
    update([{ ...YES, message: 'other' }], [old])?.[0]?.lastTransitionTime,
    old.lastTransitionTime,
  );
  assert.equal(update([YES], [old], 2)?.[0]?.lastTransitionTime, old.lastTransitionTime);
  assert.equal(update([NO], [old])?.[0]?.lastTransitionTime, '2026-06-01T00:00:00Z');
  assert.equal(
    update([YES], [], 1, [old])?.[0]?.lastTransitionTime,
    old.lastTransitionTime,
    'not yet read back',
  );
});

test('a condition that is no longer wanted is removed', () => {
  assert.deepEqual(update([], [{ type: YES.type, status: 'True' }]), []);
  assert.equal(update([], []), undefined);
});

async function setUp(t: TestContext) {
  const folder = makeFolder(t);
  putObjects(
    join(folder, 'p.json'),
    make(
      'AuthorizationPolicy',
      { name: 'p' },
      { status: { conditions: [{ type: 'Foreign', status: 'True' }] } },
    ),
  );
  const source = await openSource(t, folder, 'controlplane');
  const writer = new StatusWriter(source);
  t.after(() => writer.close());
  return { folder, source, writer };
}

function policyOf(source: FolderSource) {
  return source.get('AuthorizationPolicy', 'shop', 'p')!;
}

function statusOf(source: FolderSource): string {
  return (policyOf(source).status?.conditions ?? []).map((one) => `${one.type}=${one.status}`).join();
}

test('conditions are written beside those of others, and only when they differ', async (t) => {
  const { source, writer } = await setUp(t);
  writer.want(policyOf(source), [YES]);
  writer.want(policyOf(source), [YES]);
  await eventually('the condition', () => statusOf(source) === 'Foreign=True,ZtunnelAccepted=True');
  writer.want(policyOf(source), [YES]);
  assert.equal(writer.queue.counters.done, 1);
  writer.want(policyOf(source), [NO]);
  await eventually('the next condition', () => statusOf(source) === 'Foreign=True,ZtunnelAccepted=False');
  writer.want(policyOf(source), []);
  await eventually('the end of it', () => statusOf(source) === 'Foreign=True');
  assert.deepEqual(writer.queue.counters, { done: 3, failed: 0 });
});

test('an object that is gone meanwhile is no failure', async (t) => {
  const { folder, source, writer } = await setUp(t);
  const gone = { ...policyOf(source), metadata: { ...policyOf(source).metadata, name: 'gone' } };
  writer.want(gone, [YES]);
  writer.want(policyOf(source), [YES]);
  await eventually('the other condition', () => writer.queue.counters.done === 2);
  assert.equal(writer.queue.counters.failed, 0);
  assert.deepEqual(readdirSync(join(folder, '.overlay/controlplane')), ['AuthorizationPolicy.shop.p.json']);
});
