/** Why a pod is not ready. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeEvent, Pod } from '../../../../src/cli/cluster/kube-types.ts';
import { podTrouble } from '../../../../src/cli/cluster/pod-trouble.ts';
import { pod } from '../check/objects.ts';

type Status = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

function podWith(status: Partial<Status>): Pod {
  const base = pod('orders', { ready: false });
  const container: Status = { name: 'app', image: '', imageID: '', ready: false, restartCount: 0, ...status };
  return { ...base, status: { ...base.status, containerStatuses: [container] } };
}

function event(reason: string, message: string): KubeEvent {
  return { type: 'Warning', reason, message, involvedObject: { kind: 'Pod', name: 'orders' } };
}

test('an image that cannot be had is told in the words of the runtime, and the event adds nothing', () => {
  const waiting = { waiting: { reason: 'ImagePullBackOff', message: 'no such\nimage' } };
  assert.equal(
    podTrouble(podWith({ state: waiting }), [event('Failed', 'Error: ImagePullBackOff')]),
    'container app waits: ImagePullBackOff: no such image',
  );
});

test('a container that fails again and again is told with its code and the last line of its log', () => {
  const state = { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 5m0s' } };
  const lastState = { terminated: { exitCode: 64, message: 'first line\nerror: --objects is missing\n' } };
  assert.equal(
    podTrouble(podWith({ state, lastState }), []),
    'container app waits: CrashLoopBackOff, ended with 64: error: --objects is missing',
  );
});

test('a pod that waits for a volume is told by its event', () => {
  const creating = podWith({ state: { waiting: { reason: 'ContainerCreating' } } });
  assert.equal(
    podTrouble(creating, [event('FailedMount', 'no such ConfigMap')]),
    'FailedMount: no such ConfigMap',
  );
});

test('a container that runs and is not ready is told with what its probe says', () => {
  const running = podWith({ state: { running: {} }, restartCount: 2 });
  assert.equal(
    podTrouble(running, [event('Unhealthy', 'Readiness probe failed')]),
    'container app runs but is not ready, after 2 restarts; Unhealthy: Readiness probe failed',
  );
});

test('a pod that no node takes is told with the reason of the scheduler', () => {
  const base = pod('orders', { phase: 'Pending' });
  const conditions = [
    { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes fit' },
  ];
  assert.equal(
    podTrouble({ ...base, status: { phase: 'Pending', conditions } }, []),
    'Unschedulable: 0/3 nodes fit',
  );
});

test('a pod on its way out is told as such', () => {
  const base = pod('orders', { ready: false });
  const going = { ...base, metadata: { ...base.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  assert.equal(podTrouble(going, []), 'is being deleted');
});
