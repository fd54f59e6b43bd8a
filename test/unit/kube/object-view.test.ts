/** What a view of one kind makes of lists and events. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecodedObject } from '../../../src/kube/decode.ts';
import { decodeObject } from '../../../src/kube/decode.ts';
import { ObjectView } from '../../../src/kube/object-view.ts';
import { mergeConditions } from '../../../src/kube/object-writer.ts';
import type { ReflectedEvent } from '../../../src/kube/reflector.ts';

interface PodParts {
  readonly uid?: string;
  readonly version?: string;
  readonly ip?: string;
  readonly extra?: object;
}

function pod(name: string, { uid = `uid-${name}`, version = '1', ip = '10.0.0.1', extra }: PodParts = {}) {
  const metadata = { name, namespace: 'shop', uid, resourceVersion: version, ...extra };
  const raw = { metadata, spec: { nodeName: 'n' }, status: { podIP: ip } };
  return { key: `shop/${name}`, resourceVersion: version, object: decodeObject('Pod', raw) };
}

function upsert(object: ReturnType<typeof pod>): ReflectedEvent<DecodedObject> {
  return { type: 'upsert', ...object };
}

function told(changes: readonly { type: string; object: { metadata: { name: string; uid: string } } }[]) {
  return changes.map(({ type, object }) => `${type} ${object.metadata.uid}`);
}

test('what a later list does not have is deleted, what is as before is not told', () => {
  const view = new ObjectView();
  view.replace([pod('a'), pod('b'), pod('c')]);
  view.takeChanges();
  view.replace([pod('b', { version: '7' }), pod('c', { ip: '10.0.0.9' }), pod('d')]);
  const changes = view.takeChanges();
  assert.deepEqual(told(changes), ['delete uid-a', 'upsert uid-c', 'upsert uid-d']);
  assert.equal(view.resourceVersion('shop/b'), '7');
  assert.deepEqual(
    view.list().map(({ metadata }) => metadata.name),
    ['b', 'c', 'd'],
  );
});

test('an object that was made anew under its name is another one', () => {
  const view = new ObjectView();
  view.replace([pod('a')]);
  view.takeChanges();
  view.apply(upsert(pod('a', { uid: 'other' })));
  const changes = view.takeChanges();
  assert.deepEqual(told(changes), ['delete uid-a', 'upsert other']);
  assert.equal(changes[1]?.previous, undefined);
});

test('a change of what nobody reads is not told, and its object stays the same one', () => {
  const view = new ObjectView();
  view.replace([pod('a')]);
  view.takeChanges();
  const before = view.get('shop/a');
  const extra = { managedFields: [{ manager: 'kubelet' }], annotations: { 'example.org/x': 'y' } };
  view.apply(upsert(pod('a', { version: '2', extra })));
  assert.deepEqual(view.takeChanges(), []);
  assert.equal(view.get('shop/a'), before);
});

test('deleting what is not there changes nothing', () => {
  const view = new ObjectView();
  view.apply({ type: 'delete', ...pod('a') });
  assert.deepEqual(view.takeChanges(), []);
});

test('of all that happened to an object between two looks only the outcome is told', () => {
  const view = new ObjectView();
  view.replace([pod('stays'), pod('goes')]);
  view.takeChanges();
  view.apply(upsert(pod('short-lived')));
  view.apply({ type: 'delete', ...pod('short-lived') });
  view.apply(upsert(pod('stays', { ip: '10.0.0.8' })));
  view.apply(upsert(pod('stays')));
  view.apply(upsert(pod('goes', { ip: '10.0.0.8' })));
  view.apply({ type: 'delete', ...pod('goes') });
  assert.deepEqual(told(view.takeChanges()), ['delete uid-goes']);
});

function policy(spec: object): ReflectedEvent<DecodedObject> {
  const raw = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'shop', uid: 'u' },
    spec,
  };
  const object = decodeObject('AuthorizationPolicy', raw);
  return { type: 'upsert', key: 'shop/p', resourceVersion: '1', object };
}

test('a policy that breaks its schema is a problem, and the last good one stays in force', () => {
  const view = new ObjectView();
  view.apply(policy({ action: 'DENY' }));
  const good = view.get('shop/p');
  view.takeChanges();
  view.apply(policy({ action: 'MAYBE' }));
  assert.deepEqual(view.takeChanges(), []);
  assert.equal(view.get('shop/p'), good);
  const [problem] = view.problems();
  assert.equal(problem?.code, 'AMBIT_OBJECTS_INVALID');
  assert.match(problem?.message ?? '', /^AuthorizationPolicy\/shop\/p: spec\.action must be one of/);
  view.apply(policy({ action: 'ALLOW' }));
  assert.deepEqual(view.problems(), []);
});

test('conditions are merged by type: others keep theirs, the writer has exactly those it wants', () => {
  const present = [
    { type: 'Foreign', status: 'True' },
    { type: 'Mine', status: 'True' },
    { type: 'MineOld', status: 'True' },
  ];
  const desired = [
    { type: 'Mine', status: 'False' },
    { type: 'MineNew', status: 'True' },
  ];
  assert.deepEqual(mergeConditions(present, desired, ['Mine', 'MineOld', 'MineNew']), [
    { type: 'Foreign', status: 'True' },
    { type: 'Mine', status: 'False' },
    { type: 'MineNew', status: 'True' },
  ]);
});
