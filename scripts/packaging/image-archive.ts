/** Writes a container image as one archive that is an OCI layout and a docker archive at once: every tool can load it. */

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Architecture } from './debian-packages.ts';
import { type TarEntry, writeTar } from './tar-archive.ts';

const MEDIA_TYPE = 'application/vnd.oci.image';
/** Images carry a date; the same content has to give the same image. */
const CREATED = '1970-01-01T00:00:00Z';

/** A compressed layer on disk. */
export interface Layer {
  readonly file: string;
  /** Hex SHA-256 of the archive before compression. */
  readonly diffId: string;
  readonly comment: string;
}

/** What a container of the image runs unless told otherwise. */
export interface ImageConfig {
  readonly architecture: Architecture;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly env: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** A file of an image layout under its digest. */
interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly content: Uint8Array | string;
}

/** One platform's image: its manifest, and every blob that it leads to. */
export interface Image {
  readonly architecture: Architecture;
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Blob[];
}

/** Compresses a layer into a folder that is kept: the same content is compressed once. */
export async function makeLayer(
  folder: string,
  comment: string,
  entries: readonly TarEntry[],
): Promise<Layer> {
  mkdirSync(folder, { recursive: true });
  const tar = join(folder, `${process.pid}.tar`);
  const diffId = writeTar(tar, entries);
  const file = join(folder, `${diffId}.tar.gz`);
  if (!existsSync(file)) {
    const partial = `${file}.${process.pid}`;
    await pipeline(createReadStream(tar), createGzip({ level: 6 }), createWriteStream(partial));
    renameSync(partial, file);
  }
  return { file, diffId, comment };
}

/** @param layers from the lowest to the highest */
export async function makeImage(config: ImageConfig, layers: readonly Layer[]): Promise<Image> {
  const configBlob = jsonBlob(`${MEDIA_TYPE}.config.v1+json`, {
    created: CREATED,
    architecture: config.architecture,
    os: 'linux',
    config: {
      User: config.user,
      Entrypoint: config.entrypoint,
      Env: config.env,
      WorkingDir: '/',
      Labels: config.labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${layer.diffId}`) },
    history: layers.map((layer) => ({ created: CREATED, created_by: layer.comment })),
  });
  const layerBlobs = await Promise.all(layers.map(layerBlob));
  const manifest = jsonBlob(`${MEDIA_TYPE}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA_TYPE}.manifest.v1+json`,
    config: descriptor(configBlob),
    layers: layerBlobs.map(descriptor),
  });
  return { architecture: config.architecture, manifest, config: configBlob, layers: layerBlobs };
}

/**
 * Writes the archive of one image, or of one for each platform under one name.
 * @param name as `registry/ambit:1.2.3`
 */
export function writeImageArchive(file: string, name: string, images: readonly Image[]): void {
  const top = images.length === 1 ? undefined : indexBlob(images);
  const blobs = [...images.flatMap((image) => [image.manifest, image.config, ...image.layers]), top];
  const unique = new Map(blobs.flatMap((blob) => (blob === undefined ? [] : [[blob.digest, blob]])));
  writeTar(file, [
    jsonEntry('oci-layout', { imageLayoutVersion: '1.0.0' }),
    jsonEntry('index.json', {
      schemaVersion: 2,
      mediaType: `${MEDIA_TYPE}.index.v1+json`,
      manifests: [{ ...descriptor(top ?? images[0]!.manifest), annotations: annotationsOf(name) }],
    }),
    ...(images.length === 1 ? [dockerManifest(name, images[0]!)] : []),
    { kind: 'directory', path: 'blobs' },
    { kind: 'directory', path: 'blobs/sha256' },
    ...[...unique.values()].map(
      ({ digest, content }): TarEntry => ({ kind: 'file', path: blobPath(digest), mode: 0o644, content }),
    ),
  ]);
}

/** Who loads an OCI layout finds the name in one of these, depending on the tool. */
function annotationsOf(name: string): Record<string, string> {
  const full = qualifiedName(name);
  return {
    'io.containerd.image.name': full,
    'org.opencontainers.image.ref.name': full.slice(full.lastIndexOf(':') + 1),
  };
}

/** The name with its registry, as container runtimes complete it: `ambit:1` is `docker.io/library/ambit:1`. */
export function qualifiedName(name: string): string {
  const [first, ...rest] = name.split('/');
  if (rest.length === 0) return `docker.io/library/${name}`;
  return /[.:]|^localhost$/.test(first!) ? name : `docker.io/${name}`;
}

function dockerManifest(name: string, image: Image): TarEntry {
  const manifest = {
    Config: blobPath(image.config.digest),
    RepoTags: [name],
    Layers: image.layers.map((layer) => blobPath(layer.digest)),
  };
  return jsonEntry('manifest.json', [manifest]);
}

function indexBlob(images: readonly Image[]): Blob {
  return jsonBlob(`${MEDIA_TYPE}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA_TYPE}.index.v1+json`,
    manifests: images.map(({ manifest, architecture }) => ({
      ...descriptor(manifest),
      platform: { architecture, os: 'linux' },
    })),
  });
}

async function layerBlob(layer: Layer): Promise<Blob> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(layer.file)) hash.update(chunk);
  return {
    mediaType: `${MEDIA_TYPE}.layer.v1.tar+gzip`,
    digest: `sha256:${hash.digest('hex')}`,
    size: statSync(layer.file).size,
    content: layer.file,
  };
}

function jsonBlob(mediaType: string, value: unknown): Blob {
  const content = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { mediaType, digest, size: content.length, content };
}

function jsonEntry(path: string, value: unknown): TarEntry {
  return { kind: 'file', path, mode: 0o644, content: Buffer.from(JSON.stringify(value)) };
}

function descriptor({ mediaType, digest, size }: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size };
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
