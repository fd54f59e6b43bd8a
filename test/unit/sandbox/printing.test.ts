/** What the commands of the sandbox and its echo client print. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KubeObject } from '../../../src/sandbox/api/kube-object.ts';
import { objectRows } from '../../../src/sandbox/cli/object-table.ts';
import { formatAge, formatTable } from '../../../src/sandbox/cli/output.ts';
import { CallStatistics } from '../../../src/sandbox/echo/call-statistics.ts';

test('columns of a table line up', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.stringMatching(/^\w{1,12}$/), fc.stringMatching(/^\w{1,12}$/)), { minLength: 1 }),
      (rows) => {
        const lines = formatTable(rows).trimEnd().split('\n');
        const columns = lines.map((line) => line.search(/\s\S+$/));
        assert.equal(new Set(columns).size, 1);
      },
    ),
  );
});

test('an age is told in the unit that a person would use', () => {
  const second = 1000;
  const ages = [5, 119, 120, 7199, 7200, 172_799, 172_800].map((seconds) => formatAge(seconds * second));
  assert.deepEqual(ages, ['5s', '119s', '2m', '119m', '2h', '47h', '2d']);
});

function podObject(status: object, spec: object = {}, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', creationTimestamp: new Date().toISOString(), ...metadata },
    spec: { containers: [{ name: 'a' }], ...spec },
    status,
  } as unknown as KubeObject;
}

test('the state of a pod is what holds it up', () => {
  const state = (status: object, metadata: object = {}) =>
    objectRows('Pod', [podObject(status, {}, metadata)], {
      wide: false,
      withNamespace: false,
      header: false,
    })[0]![2];
  assert.equal(state({ phase: 'Pending' }), 'Pending');
  const waiting = {
    phase: 'Pending',
    containerStatuses: [{ state: { waiting: { reason: 'ErrImagePull' } } }],
  };
  assert.equal(state(waiting), 'ErrImagePull');
  assert.equal(state({ phase: 'Running', containerStatuses: [{ state: { running: {} } }] }), 'Running');
  assert.equal(state({ phase: 'Running' }, { deletionTimestamp: 'x' }), 'Terminating');
});

test('a wide table of all namespaces has the namespace first and more columns', () => {
  const options = { wide: true, withNamespace: true, header: true };
  const [titles, row] = objectRows(
    'Pod',
    [podObject({ podIP: '10.244.1.2' }, { nodeName: 'node1' })],
    options,
  );
  assert.deepEqual(titles, ['NAMESPACE', 'NAME', 'READY', 'STATUS', 'RESTARTS', 'AGE', 'IP', 'NODE', 'MESH']);
  assert.deepEqual(row?.slice(0, 3), ['shop', 'web', '0/1']);
});

test('calls are counted by who answered and by what went wrong', () => {
  const statistics = new CallStatistics();
  for (let i = 1; i <= 100; i++) statistics.add({ kind: 'ok', responder: i % 2 ? 'a' : 'b', latencyMs: i });
  statistics.add({ kind: 'failed', reason: 'ECONNREFUSED', latencyMs: 1 });
  const { calls, ok, failed, responders, errors, latencyMs } = statistics.toJSON();
  assert.deepEqual({ calls, ok, failed }, { calls: 101, ok: 100, failed: 1 });
  assert.deepEqual({ responders, errors }, { responders: { a: 50, b: 50 }, errors: { ECONNREFUSED: 1 } });
  assert.deepEqual(latencyMs, { min: 1, p50: 50, p90: 90, p99: 99, max: 100 });
  assert.match(statistics.toText(), /^101 calls, 100 ok, 1 failed/);
});
