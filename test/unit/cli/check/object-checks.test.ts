/** The checks of what users have written. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JudgedObject, OBJECT_CHECKS } from '../../../../src/cli/check/object-checks.ts';
import type { Condition } from '../../../../src/objects/core-types.ts';
import { brief, find } from './objects.ts';

function judged(resource: string, ...conditions: readonly Condition[]): JudgedObject {
  return { resource, metadata: { name: 'one', namespace: 'shop' }, status: { conditions } };
}

function findings(code: string, ...objects: readonly JudgedObject[]): string[] {
  return brief(find(OBJECT_CHECKS, `AMBIT_CHECK_${code}`, { objects }));
}

test('what is accepted, and what nobody has judged yet, is fine', () => {
  const accepted = judged('authorizationpolicy', { type: 'ZtunnelAccepted', status: 'True' });
  const others = judged('service', { type: 'LoadBalancerPortsError', status: 'False' });
  const objects = [
    accepted,
    others,
    judged('serviceentry'),
    { resource: 'service', metadata: accepted.metadata },
  ];
  for (const check of OBJECT_CHECKS) assert.deepEqual(check.find({ objects }), [], check.code);
});

test('a policy that is enforced in part, not at all, or refused by a proxy is an error in the words of its condition', () => {
  const condition = (type: string) => ({
    type,
    status: 'False',
    reason: 'PartiallyInvalid',
    message: 'no such key',
  });
  for (const type of ['ZtunnelAccepted', 'WaypointAccepted', 'ambit.io/Delivered']) {
    assert.deepEqual(findings('POLICIES_ENFORCED', judged('authorizationpolicy', condition(type))), [
      `error authorizationpolicy/shop/one: ${type}: PartiallyInvalid: no such key`,
    ]);
  }
});

test('an entry that is not applied, and a waypoint that is missing, are warnings', () => {
  const conflict = judged('serviceentry', { type: 'Accepted', status: 'False', reason: 'Conflicted' });
  const missing = judged('serviceentry', {
    type: 'istio.io/WaypointMissing',
    status: 'True',
    reason: 'NoWaypoint',
  });
  const bound = judged('service', {
    type: 'istio.io/WaypointBound',
    status: 'False',
    reason: 'AttachmentDenied',
  });
  assert.deepEqual(findings('OBJECTS_APPLIED', conflict, missing, bound), [
    'warning serviceentry/shop/one: Accepted: Conflicted',
    'warning serviceentry/shop/one: istio.io/WaypointMissing: NoWaypoint',
    'warning service/shop/one: istio.io/WaypointBound: AttachmentDenied',
  ]);
});
