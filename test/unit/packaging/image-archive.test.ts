/** Archives of images: what their parts say of each other, and that nothing but content changes them. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Architecture } from '../../../scripts/packaging/debian-packages.ts';
import {
  type Image,
  makeImage,
  makeLayer,
  qualifiedName,
  writeImageArchive,
} from '../../../scripts/packaging/image-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-image-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

async function image(architecture: Architecture, layers: string): Promise<Image> {
  const layer = await makeLayer(join(folder, layers), 'a layer', [
    { kind: 'file', path: 'hello', mode: 0o644, content: Buffer.from(`hello ${architecture}`) },
  ]);
  const config = { architecture, user: '1:1', entrypoint: ['/hello'], env: ['A=B'], labels: { c: 'd' } };
  return makeImage(config, [layer]);
}

function unpack(archive: string): string {
  const target = mkdtempSync(join(folder, 'unpacked-'));
  execFileSync('tar', ['-xf', archive, '-C', target]);
  return target;
}

function json(root: string, path: string) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

function blob(root: string, { digest, size }: Descriptor): Buffer {
  const content = readFileSync(join(root, 'blobs', digest.replace(':', '/')));
  assert.equal(content.length, size);
  assert.equal(`sha256:${createHash('sha256').update(content).digest('hex')}`, digest);
  return content;
}

test('an archive of one image is an OCI layout whose descriptors all hold, and a docker archive', async () => {
  const archive = join(folder, 'one.tar');
  writeImageArchive(archive, 'ambit:1.2.3', [await image('amd64', 'layers')]);
  const root = unpack(archive);
  assert.equal(json(root, 'oci-layout').imageLayoutVersion, '1.0.0');
  const [top] = json(root, 'index.json').manifests;
  assert.equal(top.annotations['io.containerd.image.name'], 'docker.io/library/ambit:1.2.3');
  assert.equal(top.annotations['org.opencontainers.image.ref.name'], '1.2.3');
  const manifest = JSON.parse(blob(root, top).toString());
  const config = JSON.parse(blob(root, manifest.config).toString());
  assert.deepEqual([config.os, config.architecture, config.config.User], ['linux', 'amd64', '1:1']);
  const layer = gunzipSync(blob(root, manifest.layers[0]));
  assert.equal(`sha256:${createHash('sha256').update(layer).digest('hex')}`, config.rootfs.diff_ids[0]);
  const [docker] = json(root, 'manifest.json');
  assert.deepEqual(docker.RepoTags, ['ambit:1.2.3']);
  for (const path of [docker.Config, ...docker.Layers]) assert.ok(readFileSync(join(root, path)).length > 0);
});

test('an archive of two platforms has one name, an index of both, and no blob twice', async () => {
  const archive = join(folder, 'both.tar');
  const images = [await image('amd64', 'layers'), await image('arm64', 'layers')];
  writeImageArchive(archive, 'reg.example:5000/mesh/ambit:1', images);
  const root = unpack(archive);
  const [top] = json(root, 'index.json').manifests;
  assert.equal(top.annotations['io.containerd.image.name'], 'reg.example:5000/mesh/ambit:1');
  const index = JSON.parse(blob(root, top).toString());
  assert.deepEqual(
    index.manifests.map((one: { platform: { architecture: string } }) => one.platform.architecture),
    ['amd64', 'arm64'],
  );
  for (const one of index.manifests) {
    const { config, layers } = JSON.parse(blob(root, one).toString());
    for (const part of [config, ...layers]) blob(root, part);
  }
  assert.equal(readdirSync(join(root, 'blobs/sha256')).length, 7);
});

test('the same content gives the same archive', async () => {
  const [one, other] = [join(folder, 'first.tar'), join(folder, 'second.tar')];
  writeImageArchive(one, 'ambit:1', [await image('amd64', 'layers-of-first')]);
  writeImageArchive(other, 'ambit:1', [await image('amd64', 'layers-of-second')]);
  assert.ok(readFileSync(one).equals(readFileSync(other)));
});

test('names are completed as container runtimes complete them', () => {
  assert.equal(qualifiedName('ambit:0.1.0'), 'docker.io/library/ambit:0.1.0');
  assert.equal(qualifiedName('someone/ambit:1'), 'docker.io/someone/ambit:1');
  assert.equal(qualifiedName('localhost/ambit:1'), 'localhost/ambit:1');
  assert.equal(qualifiedName('reg.example/ambit:1'), 'reg.example/ambit:1');
  assert.equal(qualifiedName('reg:5000/ambit:1'), 'reg:5000/ambit:1');
});
