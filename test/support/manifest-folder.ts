/** A folder of manifests for tests, and a started source that reads it. */

import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { FolderSource } from '../../src/objects/folder-source.ts';
import { KINDS, type MeshObject } from '../../src/objects/kinds.ts';

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'ambit-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Puts a file in place in one step. */
export function putFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

/** Writes objects as one manifest file. */
export function putObjects(path: string, ...objects: readonly MeshObject[]): void {
  putFile(path, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects.map(manifestOf) }));
}

function manifestOf(object: MeshObject): object {
  const { group, version } = KINDS[object.kind];
  const { generation: _, ...metadata } = object.metadata;
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return { apiVersion, ...object, metadata: { ...metadata, namespace: metadata.namespace || undefined } };
}

export async function openSource(t: TestContext, folder: string, writer = 'test'): Promise<FolderSource> {
  const source = new FolderSource({ folder, writer });
  t.after(() => source.stop());
  await source.start();
  return source;
}
