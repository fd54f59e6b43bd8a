/** When a part counts as rolled out, and what is told until then. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daemonSetState, deploymentState, troubles } from '../../../../src/cli/install/rollout.ts';
import { daemonSet, deployment, part } from '../check/objects.ts';

test('a Deployment is done when its new pods are available and the old ones gone', () => {
  const done = deployment('0.1.0', 2);
  assert.deepEqual(deploymentState('cp', done), { isDone: true, text: 'deployment/cp: 2 of 2 ready' });
  const surging = { ...done, status: { ...done.status, replicas: 3, updatedReplicas: 2 } };
  assert.deepEqual(deploymentState('cp', surging), {
    isDone: false,
    text: 'deployment/cp: 2 of 2 ready, 1 old ones to go',
  });
  assert.equal(deploymentState('cp', deployment('0.1.0', 2, 1)).isDone, false);
});

test('a DaemonSet is done when every node has a new pod that is ready', () => {
  const done = daemonSet('cni');
  assert.deepEqual(daemonSetState('cni', done), { isDone: true, text: 'daemonset/cni: 1 of 1 ready' });
  const status = { ...done.status, desiredNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 1 };
  assert.deepEqual(daemonSetState('cni', { ...done, status }), {
    isDone: false,
    text: 'daemonset/cni: 3 of 3 ready, 2 still old',
  });
});

test('a status that is older than the object says nothing', () => {
  const changed = { metadata: { ...deployment().metadata, generation: 2 } };
  assert.equal(deploymentState('cp', { ...deployment(), ...changed }).isDone, false);
  assert.deepEqual(daemonSetState('cni', { ...daemonSet('cni'), ...changed }), {
    isDone: false,
    text: 'daemonset/cni: not yet seen by its controller',
  });
});

test('what is not there is not done', () => {
  assert.equal(deploymentState('cp', undefined).isDone, false);
  assert.equal(daemonSetState('cni', undefined).isDone, false);
});

test('each pod that is not ready is told with its node and its reason', () => {
  const pods = [part('cni', 'good'), part('cni', 'bad', { ready: false, phase: 'Pending', node: 'worker2' })];
  assert.deepEqual(troubles(pods, []), ['pod/bad on worker2: is Pending']);
});
