/** Reads what `-f` is given: files and folders of YAML, every fault with its file and line. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { type FieldPath, formatPath } from '../../objects/schema.ts';
import { sandboxErrors } from '../errors.ts';
import { faultsOf, headerOf } from './manifest-validation.ts';

/** One object as somebody wrote it, found usable. */
export interface Manifest {
  /** `shop.yaml:12`. */
  readonly source: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface ManifestSet {
  readonly manifests: readonly Manifest[];
  /** Doubts that hold nothing up, each with its place. */
  readonly warnings: readonly string[];
}

/** Alias expansion beyond this is taken for an attack ("billion laughs"). */
const MAX_ALIASES = 100;
const MANIFEST_FILE = /^[^.].*\.(ya?ml|json)$/;
/** Errors shown at once; the rest is most likely their consequence. */
const MAX_SHOWN = 20;

/**
 * @param paths files or folders (not their subfolders); `-` is standard input
 * @throws AMBIT_SANDBOX_MANIFEST_INVALID that names every fault of every file
 */
export function readManifests(paths: readonly string[]): ManifestSet {
  const reader = new ManifestReader();
  for (const path of paths) {
    for (const file of filesOf(path)) reader.read(file === '-' ? 'standard input' : file, textOf(file));
  }
  return reader.result();
}

/** Collects everything before it gives up. */
class ManifestReader {
  readonly #manifests: Manifest[] = [];
  readonly #errors: string[] = [];
  readonly #warnings: string[] = [];

  read(file: string, text: string): void {
    const lines = new LineCounter();
    for (const document of parseAllDocuments(text, { lineCounter: lines, strict: true })) {
      this.#readDocument(document, (path) => `${file}:${lineOf(document, lines, path)}`);
    }
  }

  result(): ManifestSet {
    if (this.#errors.length > 0) {
      const more = this.#errors.length > MAX_SHOWN ? [`and ${this.#errors.length - MAX_SHOWN} more`] : [];
      const shown = [...this.#errors.slice(0, MAX_SHOWN), ...more];
      throw sandboxErrors.AMBIT_SANDBOX_MANIFEST_INVALID(shown.join('\n'));
    }
    return { manifests: this.#manifests, warnings: this.#warnings };
  }

  #readDocument(document: Document.Parsed, placeOf: (path: FieldPath) => string): void {
    const error = document.errors[0];
    if (error !== undefined) {
      const line = error.linePos?.[0].line ?? 1;
      this.#errors.push(`${placeOf([]).replace(/:\d+$/, `:${line}`)}: ${error.message.split('\n', 1)[0]}`);
      return;
    }
    try {
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      if (value !== null) this.#take(value, [], placeOf);
    } catch (thrown) {
      this.#errors.push(`${placeOf([])}: ${messageOf(thrown)}`);
    }
  }

  #take(value: unknown, path: FieldPath, placeOf: (path: FieldPath) => string): void {
    const header = headerOf(value);
    const { items } = (value ?? {}) as { items?: unknown };
    if (header?.kind.endsWith('List') && Array.isArray(items)) {
      items.forEach((item, at) => {
        this.#take(item, [...path, 'items', at], placeOf);
      });
      return;
    }
    const faults = faultsOf(value);
    for (const fault of faults) {
      const field = fault.path.length === 0 ? '' : `${formatPath(fault.path)} `;
      const text = `${placeOf([...path, ...fault.path])}: ${header?.kind ?? 'object'}: ${field}${fault.message}`;
      (fault.severity === 'error' ? this.#errors : this.#warnings).push(text);
    }
    if (faults.every((fault) => fault.severity === 'warning')) {
      this.#manifests.push({ source: placeOf(path), value: value as Manifest['value'] });
    }
  }
}

/** The line of a field, or of the nearest thing around it that is there. */
function lineOf(document: Document.Parsed, lines: LineCounter, path: FieldPath): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function filesOf(path: string): readonly string[] {
  if (path === '-') return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => MANIFEST_FILE.test(name));
    return names.sort().map((name) => join(path, name));
  } catch (thrown) {
    throw sandboxErrors.AMBIT_SANDBOX_MANIFEST_INVALID(`${path}: ${messageOf(thrown)}`);
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (thrown) {
    throw sandboxErrors.AMBIT_SANDBOX_MANIFEST_INVALID(`${file}: ${messageOf(thrown)}`);
  }
}
