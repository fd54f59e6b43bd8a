/** The folder source on a real folder with real edits. */

import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FolderSource } from '../../../src/objects/folder-source.ts';
import type { ObjectChange, ObjectReference } from '../../../src/objects/object-source.ts';
import { objectKey, referenceOf } from '../../../src/objects/object-source.ts';
import { eventually } from '../../support/eventually.ts';

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'ambit-objects-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Opened {
  readonly source: FolderSource;
  readonly batches: (readonly ObjectChange[])[];
}

async function open(t: TestContext, folder: string, writer = 'test'): Promise<Opened> {
  const source = new FolderSource({ folder, writer });
  const batches: (readonly ObjectChange[])[] = [];
  source.subscribe((changes) => batches.push(changes));
  t.after(() => source.stop());
  await source.start();
  return { source, batches };
}

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

function namespace(name: string, labels: Record<string, string> = {}): string {
  return `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n  labels: ${JSON.stringify(labels)}\n`;
}

function pod(name: string, extra = ''): string {
  return `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n  namespace: shop\n${extra}`;
}

function policy(action: string): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: p\n  namespace: shop\nspec:\n  action: ${action}\n`;
}

const POD_A: ObjectReference = { kind: 'Pod', namespace: 'shop', name: 'a' };

function summary(batches: readonly (readonly ObjectChange[])[]): string[] {
  return batches.flat().map((change) => `${change.type} ${objectKey(referenceOf(change.object))}`);
}

test('the first view holds every manifest of the folder and its sub-folders, in YAML and JSON', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'all.yaml'), `${namespace('shop')}---\n${pod('a')}---\n---\n# nothing\n`);
  put(join(folder, 'deep/er/b.yml'), pod('b'));
  put(
    join(folder, 'c.json'),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'c', namespace: 'shop' } }],
    }),
  );
  put(join(folder, '.hidden.yaml'), pod('hidden'));
  put(join(folder, '.git/x.yaml'), pod('hidden'));
  put(join(folder, 'notes.txt'), 'not a manifest');
  const { source, batches } = await open(t, folder);
  assert.deepEqual(
    source
      .list('Pod')
      .map((one) => one.metadata.name)
      .sort(),
    ['a', 'b', 'c'],
  );
  assert.equal(source.get('Namespace', '', 'shop')?.kind, 'Namespace');
  assert.deepEqual(source.problems, []);
  assert.deepEqual(batches, [], 'the first view is listed, not told');
});

test('a namespaced object without a namespace is in default; every object has a uid that is always the same', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n');
  put(join(folder, 'b.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n  uid: given\n');
  const first = await open(t, folder);
  const second = await open(t, folder, 'other');
  const uid = first.source.get('Pod', 'default', 'a')?.metadata.uid;
  assert.match(uid ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.equal(second.source.get('Pod', 'default', 'a')?.metadata.uid, uid);
  assert.equal(first.source.get('Pod', 'default', 'b')?.metadata.uid, 'given');
});

test('edits, new files, renames and deletions are told as they happen, with what was there before', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), pod('a'));
  const { source, batches } = await open(t, folder);
  put(join(folder, 'a.yaml'), pod('a', '  labels: {app: x}\n'));
  const change = await eventually('the edit', () => batches.flat()[0]);
  assert.equal(change.type, 'upsert');
  assert.equal(change.previous?.metadata.labels, undefined);
  assert.equal(source.get('Pod', 'shop', 'a')?.metadata.labels?.app, 'x');

  put(join(folder, 'b.yaml'), pod('b'));
  await eventually('the new file', () => source.get('Pod', 'shop', 'b'));

  batches.length = 0;
  put(join(folder, 'b.yaml'), `${pod('b')}# edited\n`);
  renameSync(join(folder, 'b.yaml'), join(folder, 'c.yaml'));
  put(join(folder, 'd.yaml'), pod('d'));
  await eventually('the file after the rename', () => source.get('Pod', 'shop', 'd'));
  assert.deepEqual(summary(batches), ['upsert Pod/shop/d'], 'a renamed file changes nothing');

  rmSync(join(folder, 'c.yaml'));
  await eventually('the deletion', () => source.get('Pod', 'shop', 'b') === undefined);
  assert.deepEqual(summary(batches).at(-1), 'delete Pod/shop/b');
});

test('folders that come, move and go are followed', async (t) => {
  const folder = makeFolder(t);
  const { source } = await open(t, folder);
  for (const round of [1, 2, 3]) {
    put(join(folder, 'sub/deep/a.yaml'), pod('a', `  labels: {round: "${round}"}\n`));
    await eventually(
      'the new folder',
      () => source.get('Pod', 'shop', 'a')?.metadata.labels?.round === `${round}`,
    );
    renameSync(join(folder, 'sub'), join(folder, 'moved'));
    put(join(folder, 'moved/deep/b.yaml'), pod('b'));
    await eventually('the file in the moved folder', () => source.get('Pod', 'shop', 'b'));
    assert.ok(source.get('Pod', 'shop', 'a'));
    rmSync(join(folder, 'moved'), { recursive: true });
    await eventually('the end of the folder', () => source.list('Pod').length === 0);
  }
});

test('changes that come together are told in one batch', async (t) => {
  const folder = makeFolder(t);
  const { batches } = await open(t, folder);
  const staging = makeFolder(t);
  for (let i = 0; i < 50; i++) put(join(staging, 'many', `${i}.yaml`), pod(`p${i}`));
  await delay(50);
  renameSync(join(staging, 'many'), join(folder, 'many'));
  await eventually('all pods', () => batches.flat().length === 50);
  assert.equal(batches.length, 1);
});

test('a file that is written in pieces is not read before its writer is done', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, Array.from({ length: 20 }, (_, i) => pod(`p${i}`)).join('---\n'));
  const { source, batches } = await open(t, folder);
  const file = openSync(path, 'w');
  for (let i = 0; i < 20; i++) {
    writeSync(file, `---\n${pod(`p${i}`, '  labels: {v: "2"}\n')}`);
    await delay(3);
  }
  closeSync(file);
  await eventually('the new content', () => source.get('Pod', 'shop', 'p19')?.metadata.labels?.v === '2');
  assert.deepEqual(
    batches.flat().filter((change) => change.type === 'delete'),
    [],
  );
});

test('a file that was truncated counts as half-written for a while, then as empty', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, pod('a'));
  const { source, batches } = await open(t, folder);
  truncateSync(path);
  await delay(100);
  writeFileSync(path, pod('a', '  labels: {v: "2"}\n'));
  await eventually('the new content', () => source.get('Pod', 'shop', 'a')?.metadata.labels?.v === '2');
  assert.deepEqual(summary(batches), ['upsert Pod/shop/a']);
  truncateSync(path);
  await eventually('the end of the object', () => source.get('Pod', 'shop', 'a') === undefined);
});

test('a file that breaks keeps what it held, says where it is broken, and recovers', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, `${pod('a')}---\n${pod('b')}`);
  const { source, batches } = await open(t, folder);
  put(path, `${pod('a', '  labels: {v: "2"}\n')}---\nkind: Pod\nmetadata: [\n`);
  await eventually('the problem', () => source.problems.length > 0);
  const problem = source.problems[0]!;
  assert.equal(problem.code, 'AMBIT_OBJECTS_SYNTAX');
  assert.equal(problem.file, path);
  assert.match(problem.message, /a\.yaml:\d+: /);
  assert.ok(problem.line! >= 7 && problem.line! <= 10, `line ${problem.line}`);
  assert.ok(source.get('Pod', 'shop', 'b'), 'the last good state stays');
  assert.equal(
    source.get('Pod', 'shop', 'a')?.metadata.labels?.v,
    '2',
    'good documents of the file are taken',
  );
  put(path, pod('a'));
  await eventually('the repair', () => source.problems.length === 0);
  assert.equal(source.get('Pod', 'shop', 'b'), undefined);
  assert.ok(summary(batches).includes('delete Pod/shop/b'));
});

test('an object that breaks keeps its last good state; the others of the file change freely', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, `${policy('DENY')}---\n${pod('a')}`);
  const { source } = await open(t, folder);
  put(path, `${policy('DENI')}---\n${pod('b')}`);
  await eventually('the other object', () => source.get('Pod', 'shop', 'b'));
  assert.equal(source.get('Pod', 'shop', 'a'), undefined);
  assert.equal(source.get('AuthorizationPolicy', 'shop', 'p')?.spec?.action, 'DENY');
  assert.deepEqual(
    source.problems.map(({ message, code }) => [message, code]),
    [[`${path}:7: spec.action: must be one of ALLOW, DENY, AUDIT, CUSTOM`, 'AMBIT_OBJECTS_INVALID']],
  );
  put(path, pod('b'));
  await eventually('the end of the object', () => source.list('AuthorizationPolicy').length === 0);
});

test('an object in two files is reported, and the first file by name counts until it is gone', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'b.yaml'), pod('a', '  labels: {from: b}\n'));
  put(join(folder, 'a.yaml'), pod('a', '  labels: {from: a}\n'));
  const { source } = await open(t, folder);
  assert.equal(source.get('Pod', 'shop', 'a')?.metadata.labels?.from, 'a');
  assert.deepEqual(
    source.problems.map((problem) => problem.message),
    [`${join(folder, 'b.yaml')}:1: Pod/shop/a is also in ${join(folder, 'a.yaml')}, which wins`],
  );
  rmSync(join(folder, 'a.yaml'));
  await eventually(
    'the second file to count',
    () => source.get('Pod', 'shop', 'a')?.metadata.labels?.from === 'b',
  );
  assert.deepEqual(source.problems, []);
});

test('an object that is twice in one file is reported, and the first one counts', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, `${pod('a', '  labels: {at: first}\n')}---\n${pod('a', '  labels: {at: second}\n')}`);
  const { source } = await open(t, folder);
  assert.equal(source.get('Pod', 'shop', 'a')?.metadata.labels?.at, 'first');
  assert.deepEqual(
    source.problems.map((problem) => problem.message),
    [`${path}:8: Pod/shop/a is in this file twice; the first one wins`],
  );
});

test('kinds and fields that look like ours and are not read are warnings, other kinds are none of our business', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), 'apiVersion: v1\nkind: Namspace\nmetadata:\n  name: c\n');
  put(join(folder, 'b.yaml'), 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata:\n  name: s\n');
  put(join(folder, 'c.yaml'), `${policy('DENY')}  rulez: []\n`);
  put(
    join(folder, 'd.yaml'),
    'apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r}\n',
  );
  put(
    join(folder, 'e.yaml'),
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\napiVersion: v1\nkind: Secret\n',
  );
  const { source } = await open(t, folder);
  assert.deepEqual(
    source.problems.map(({ severity, message }) => [severity, message.slice(folder.length + 1)]),
    [
      ['warning', 'a.yaml:2: the mesh does not read Namspace of v1'],
      ['warning', 'b.yaml:2: the mesh does not read Gateway of networking.istio.io/v1'],
      ['warning', 'c.yaml:8: spec.rulez: is not a field of this kind'],
      ['warning', 'd.yaml:2: the mesh does not read RequestAuthentication of security.istio.io/v1'],
    ],
  );
  assert.ok(source.get('AuthorizationPolicy', 'shop', 'p'));
});

test('the generation grows with the desired state, not with labels or status', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, policy('DENY'));
  const { source } = await open(t, folder);
  const generation = () => source.get('AuthorizationPolicy', 'shop', 'p')?.metadata.generation;
  assert.equal(generation(), 1);
  put(path, policy('DENY').replace('metadata:', 'metadata:\n  labels: {a: b}'));
  await eventually(
    'the label',
    () => source.get('AuthorizationPolicy', 'shop', 'p')?.metadata.labels?.a === 'b',
  );
  assert.equal(generation(), 1);
  put(path, policy('ALLOW'));
  await eventually(
    'the new action',
    () => source.get('AuthorizationPolicy', 'shop', 'p')?.spec?.action === 'ALLOW',
  );
  assert.equal(generation(), 2);
});

test('a patch is kept beside the manifest and seen by every process that reads the folder', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), pod('a', '  annotations: {keep: "1", drop: "2"}\n'));
  const manifest = readFileSync(join(folder, 'a.yaml'), 'utf8');
  const agent = await open(t, folder, 'cni');
  const other = await open(t, folder, 'controlplane');
  await agent.source.patch(POD_A, { annotations: { added: '3', drop: null }, labels: { seen: 'yes' } });
  await eventually('the patch at the other process', () => {
    const metadata = other.source.get('Pod', 'shop', 'a')?.metadata;
    return metadata?.annotations?.added === '3' && metadata.labels?.seen === 'yes' && metadata;
  });
  assert.deepEqual(other.source.get('Pod', 'shop', 'a')?.metadata.annotations, { keep: '1', added: '3' });
  assert.equal(readFileSync(join(folder, 'a.yaml'), 'utf8'), manifest);
  assert.deepEqual(readdirSync(join(folder, '.overlay/cni')), ['Pod.shop.a.json']);
  const late = await open(t, folder, 'late');
  assert.equal(late.source.get('Pod', 'shop', 'a')?.metadata.annotations?.added, '3');
});

test('patches of one process add up, even when they follow each other at once', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), pod('a'));
  const { source } = await open(t, folder);
  await Promise.all([
    source.patch(POD_A, { annotations: { one: '1', two: '2' } }),
    source.patch(POD_A, { annotations: { two: null, three: '3' } }),
    source.patch(POD_A, { status: { podIP: '10.0.0.1' } }),
  ]);
  await eventually('all of it', () => source.get('Pod', 'shop', 'a')?.status?.podIP === '10.0.0.1');
  assert.deepEqual(source.get('Pod', 'shop', 'a')?.metadata.annotations, { one: '1', three: '3' });
});

test('conditions of several writers are merged by type; one that its writer no longer lists is removed', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), `${policy('DENY')}status:\n  conditions: [{type: Own, status: "True"}]\n`);
  const one = await open(t, folder, 'one');
  const two = await open(t, folder, 'two');
  const reference = { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'p' } as const;
  const types = () =>
    two.source
      .get('AuthorizationPolicy', 'shop', 'p')
      ?.status?.conditions?.map((condition) => `${condition.type}=${condition.status}`)
      .join();
  await one.source.patch(reference, {
    status: {
      conditions: [
        { type: 'A', status: 'True' },
        { type: 'B', status: 'True' },
      ],
    },
  });
  await two.source.patch(reference, { status: { conditions: [{ type: 'C', status: 'False' }] } });
  await eventually('the conditions of both', () => types() === 'Own=True,A=True,B=True,C=False');
  await one.source.patch(reference, { status: { conditions: [{ type: 'B', status: 'False' }] } });
  await eventually('the removal', () => types() === 'Own=True,B=False,C=False');
});

test('a patch that changes nothing writes nothing, and one for an unknown object is refused', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), pod('a'));
  const { source } = await open(t, folder);
  await source.patch(POD_A, { labels: { x: 'y' } });
  const path = join(folder, '.overlay/test/Pod.shop.a.json');
  rmSync(path);
  await source.patch(POD_A, { labels: { x: 'y' } });
  assert.equal(existsSync(path), false);
  await assert.rejects(source.patch({ ...POD_A, name: 'none' }, {}), { code: 'AMBIT_OBJECT_NOT_FOUND' });
});

test('an overlay goes with its object, and says nothing about a later object of the same name', async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, pod('a', '  uid: first\n'));
  const { source } = await open(t, folder);
  await source.patch(POD_A, { annotations: { x: '1' } });
  await eventually('the patch', () => source.get('Pod', 'shop', 'a')?.metadata.annotations?.x === '1');
  put(path, pod('a', '  uid: second\n'));
  await eventually('the next object', () => source.get('Pod', 'shop', 'a')?.metadata.uid === 'second');
  assert.equal(source.get('Pod', 'shop', 'a')?.metadata.annotations, undefined);
  await eventually('the end of the overlay', () => readdirSync(join(folder, '.overlay/test')).length === 0);
});

test('an overlay stays while a broken file may still hold its object', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), pod('a'));
  const first = await open(t, folder);
  await first.source.patch(POD_A, { annotations: { x: '1' } });
  first.source.stop();
  put(join(folder, 'a.yaml'), 'kind: [');
  const second = await open(t, folder);
  assert.equal(second.source.list('Pod').length, 0);
  put(join(folder, 'a.yaml'), pod('a'));
  await eventually(
    'the repair',
    () => second.source.get('Pod', 'shop', 'a')?.metadata.annotations?.x === '1',
  );
});

test('an overlay that is broken is reported and the manifest counts alone', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, 'a.yaml'), pod('a'));
  put(join(folder, '.overlay/other/Pod.shop.a.json'), '{"kind":"Pod"');
  put(
    join(folder, '.overlay/other/Pod.shop.b.json'),
    '{"kind":"Pod","namespace":"shop","name":"b","uid":"u","labels":[]}',
  );
  const { source } = await open(t, folder);
  assert.ok(source.get('Pod', 'shop', 'a'));
  assert.equal(source.problems.length, 2);
  rmSync(join(folder, '.overlay'), { recursive: true });
  await eventually('the end of the problems', () => source.problems.length === 0);
});

test('a folder that vanishes keeps its objects, and is found again when it comes back', async (t) => {
  const folder = join(makeFolder(t), 'objects');
  put(join(folder, 'a.yaml'), pod('a'));
  const { source } = await open(t, folder);
  renameSync(folder, `${folder}.away`);
  await eventually('the problem', () =>
    source.problems.some((problem) => problem.code === 'AMBIT_OBJECTS_FILE_UNREADABLE'),
  );
  assert.ok(source.get('Pod', 'shop', 'a'));
  renameSync(`${folder}.away`, folder);
  put(join(folder, 'b.yaml'), pod('b'));
  await eventually('the new file', () => source.get('Pod', 'shop', 'b'));
  assert.deepEqual(source.problems, []);
  put(join(folder, 'c.yaml'), pod('c'));
  await eventually('a change after that', () => source.get('Pod', 'shop', 'c'));
});

test('a mounted ConfigMap, which exchanges a hidden link, is followed', async (t) => {
  const folder = makeFolder(t);
  put(join(folder, '..v1/a.yaml'), pod('a'));
  symlinkSync('..v1', join(folder, '..data'));
  symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
  const { source } = await open(t, folder);
  assert.ok(source.get('Pod', 'shop', 'a'));
  put(join(folder, '..v2/a.yaml'), pod('a', '  labels: {v: "2"}\n'));
  symlinkSync('..v2', join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  await eventually('the exchange', () => source.get('Pod', 'shop', 'a')?.metadata.labels?.v === '2');
});

test('a file that cannot be read keeps what it held', {
  skip: process.getuid?.() === 0 && 'root reads everything',
}, async (t) => {
  const folder = makeFolder(t);
  const path = join(folder, 'a.yaml');
  put(path, pod('a'));
  const { source } = await open(t, folder);
  chmodSync(path, 0);
  appendFileSync(join(folder, 'b.yaml'), pod('b'));
  await eventually('the problem', () => source.problems.length > 0);
  assert.ok(source.get('Pod', 'shop', 'a'));
  chmodSync(path, 0o600);
  await eventually('the repair', () => source.problems.length === 0);
});

test('a folder that is not there is refused at the start', async () => {
  const source = new FolderSource({ folder: '/nowhere/at/all', writer: 'test' });
  await assert.rejects(source.start(), { code: 'AMBIT_OBJECTS_FOLDER_UNREADABLE' });
});

test('a listener that fails does not keep the others from hearing of the change', async (t) => {
  const folder = makeFolder(t);
  const { source, batches } = await open(t, folder);
  const other: string[] = [];
  source.subscribe(() => {
    throw new Error('on purpose');
  });
  const unsubscribe = source.subscribe((changes) => other.push(...summary([changes])));
  put(join(folder, 'a.yaml'), pod('a'));
  await eventually('the change', () => other.length > 0 && batches.length > 0);
  unsubscribe();
  put(join(folder, 'b.yaml'), pod('b'));
  await eventually('the next change', () => batches.length > 1);
  assert.deepEqual(other, ['upsert Pod/shop/a']);
});

test('no change is missed under churn by several writers', async (t) => {
  const folder = makeFolder(t);
  const { source } = await open(t, folder);
  const second = await open(t, folder, 'second');
  const names = Array.from({ length: 30 }, (_, i) => `p${i}`);
  for (let round = 0; round < 10; round++) {
    for (const [i, name] of names.entries()) {
      const path = join(folder, `d${i % 3}`, `${name}.yaml`);
      if ((i + round) % 5 === 0) rmSync(path, { force: true });
      else put(path, pod(name, `  labels: {round: "${round}"}\n`));
      if (i % 7 === 0 && source.get('Pod', 'shop', name) !== undefined) {
        await source
          .patch({ ...POD_A, name }, { annotations: { round: String(round) } })
          .catch(() => undefined);
      }
    }
    await delay(round % 3);
  }
  const expected = names.filter((_, i) => (i + 9) % 5 !== 0).sort();
  const isDone = (one: FolderSource) => {
    const pods = one.list('Pod').filter((each) => each.metadata.labels?.round === '9');
    return pods.length === expected.length && one.list('Pod').length === expected.length && pods;
  };
  for (const one of [source, second.source]) {
    const pods = await eventually('the last round', () => isDone(one));
    assert.deepEqual(pods.map((each) => each.metadata.name).sort(), expected);
  }
});
