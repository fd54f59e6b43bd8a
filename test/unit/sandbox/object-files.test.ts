/** Files of objects on a disk that does not take them for a while. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ObjectStore } from '../../../src/sandbox/api/object-store.ts';
import { eventually } from '../../support/eventually.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ambit-objects-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const pod = (phase: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop' },
  status: { phase },
});
const reference = { kind: 'Pod', group: '', namespace: 'shop', name: 'web' };

/** As a full disk does: nothing can be written, and everything else goes on. */
function whileUnwritable(action: () => void): void {
  mkdirSync(join(folder, '.draft'));
  action();
  rmdirSync(join(folder, '.draft'));
}

test('an object that a full disk does not take is known at once, and written in its newest state when there is room', async () => {
  const store = new ObjectStore(folder);
  whileUnwritable(() => {
    store.put(pod('Pending'));
    store.put(pod('Running'));
    assert.equal(store.get('Pod', 'shop', 'web')?.status?.phase, 'Running');
  });
  const file = join(folder, 'shop', 'pod.web.json');
  await eventually('the file is there', () => readdirSync(join(folder, 'shop')).length === 1);
  assert.equal((JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof pod>).status.phase, 'Running');
});

test('an object that is removed before there was room is not written any more', async () => {
  const store = new ObjectStore(folder);
  whileUnwritable(() => {
    store.put(pod('Running'));
    store.remove(reference);
    store.put({ ...pod('Running'), metadata: { name: 'other', namespace: 'shop' } });
  });
  await eventually('the other one is there', () => readdirSync(join(folder, 'shop')).length === 1);
  assert.deepEqual(readdirSync(join(folder, 'shop')), ['pod.other.json']);
});
