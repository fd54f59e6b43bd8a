/** What the certificate authority knows of the pods. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PodRegistry } from '../../../src/controlplane/pod-registry.ts';
import { eventually } from '../../support/eventually.ts';
import { makeFolder, openSource, putObjects } from '../../support/manifest-folder.ts';
import { pod } from '../../support/mesh-objects.ts';

test('pods are known by uid and by node, as long as they are there', async (t) => {
  const folder = makeFolder(t);
  putObjects(join(folder, 'a.json'), pod({ name: 'a', uid: 'u1', node: 'n1', serviceAccount: 'seller' }));
  const source = await openSource(t, folder);
  const registry = new PodRegistry();
  const stop = registry.follow(source);
  const first = {
    uid: 'u1',
    name: 'a',
    namespace: 'shop',
    serviceAccount: 'seller',
    node: 'n1',
    terminal: false,
  };
  assert.deepEqual(registry.podByUid('u1'), first);
  assert.deepEqual([...registry.podsOnNode('n1')], [first]);
  assert.deepEqual([...registry.podsOnNode('n2')], []);

  putObjects(join(folder, 'a.json'), pod({ name: 'a', uid: 'u2', node: 'n2', phase: 'Failed' }));
  const next = await eventually('the next pod', () => registry.podByUid('u2'));
  assert.deepEqual([next.terminal, next.serviceAccount, next.node], [true, 'default', 'n2']);
  assert.deepEqual([registry.podByUid('u1'), ...registry.podsOnNode('n1')], [undefined]);

  rmSync(join(folder, 'a.json'));
  await eventually('the end of the pod', () => registry.podByUid('u2') === undefined);
  assert.deepEqual([...registry.podsOnNode('n2')], []);
  stop();
  putObjects(join(folder, 'b.json'), pod({ name: 'b', uid: 'u3' }));
  await eventually('the source', () => source.get('Pod', 'shop', 'b'));
  assert.equal(registry.podByUid('u3'), undefined);
});
