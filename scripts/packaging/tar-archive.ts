/** Writes tar archives (POSIX ustar) that depend on nothing but their entries: no time, no user, sorted by path. */

import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** One member of an archive; paths are relative and without a trailing slash. */
export type TarEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: FileContent };

/** Bytes, or the path of a file that holds them. */
export type FileContent = Uint8Array | string;

const BLOCK = 512;
const MAX_NAME = 100;
const MAX_PREFIX = 155;
const MAX_SIZE = 8 ** 11 - 1;
const TYPE_FLAGS = { file: '0', symlink: '2', directory: '5' } as const;

/**
 * Writes the archive to a file.
 * @returns hex SHA-256 of the archive
 * @throws Error when a path does not fit into the format or appears twice
 */
export function writeTar(file: string, entries: readonly TarEntry[]): string {
  const hash = createHash('sha256');
  const fd = openSync(file, 'w');
  try {
    for (const part of tarParts(entries)) {
      writeWhole(fd, part);
      hash.update(part);
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** The archive piece by piece; see {@link writeTar}. */
export function* tarParts(entries: readonly TarEntry[]): Generator<Uint8Array> {
  const sorted = entries.toSorted((one, other) => (one.path < other.path ? -1 : 1));
  for (const [index, entry] of sorted.entries()) {
    if (sorted[index + 1]?.path === entry.path) throw new Error(`${entry.path} is twice in the archive`);
    const content = entry.kind === 'file' ? bytesOf(entry.content) : new Uint8Array();
    yield header(entry, content.length);
    yield content;
    yield new Uint8Array(padding(content.length));
  }
  yield new Uint8Array(2 * BLOCK);
}

function bytesOf(content: FileContent): Uint8Array {
  return typeof content === 'string' ? readFileSync(content) : content;
}

function padding(length: number): number {
  return (BLOCK - (length % BLOCK)) % BLOCK;
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset);
}

function header(entry: TarEntry, size: number): Uint8Array {
  if (size > MAX_SIZE) throw new Error(`${entry.path} is too large for an archive`);
  const block = Buffer.alloc(BLOCK);
  const { prefix, name } = splitPath(entry.kind === 'directory' ? `${entry.path}/` : entry.path);
  block.write(name, 0);
  block.write(octal(modeOf(entry), 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write(TYPE_FLAGS[entry.kind], 156);
  if (entry.kind === 'symlink') block.write(fitting(entry.target, MAX_NAME), 157);
  block.write('ustar\0' + '00', 257);
  block.write(prefix, 345);
  return withChecksum(block);
}

function modeOf(entry: TarEntry): number {
  if (entry.kind === 'symlink') return 0o777;
  return entry.mode ?? 0o755;
}

/** The checksum counts its own field as spaces. */
function withChecksum(block: Buffer): Buffer {
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** Long paths are cut at a slash into two fields. */
function splitPath(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= MAX_NAME) return { prefix: '', name: path };
  for (let cut = path.indexOf('/'); cut > 0; cut = path.indexOf('/', cut + 1)) {
    const [prefix, name] = [path.slice(0, cut), path.slice(cut + 1)];
    const fits = Buffer.byteLength(prefix) <= MAX_PREFIX && Buffer.byteLength(name) <= MAX_NAME;
    if (fits && name !== '') return { prefix, name };
  }
  throw new Error(`${path} is too long for an archive`);
}

function fitting(text: string, limit: number): string {
  if (Buffer.byteLength(text) > limit) throw new Error(`${text} is too long for an archive`);
  return text;
}
