/** The objects that the mesh reads, as files; what a full disk does not take now is written when it does. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { isObjectKind, KINDS } from '../../objects/kinds.ts';
import { logger } from '../../telemetry/log.ts';
import { type KubeObject, type Reference, referenceTo } from './kube-object.ts';

const log = logger('objects');

const RETRY_MS = 1000;

export class ObjectFiles {
  readonly #folder: string;
  /** Path → the newest state of what is not there yet. */
  readonly #unwritten = new Map<string, KubeObject>();
  #retry: NodeJS.Timeout | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Now, or as soon as the disk takes it; an object of a kind that the mesh does not read is no file. */
  write(object: KubeObject): void {
    const path = this.#pathOf(referenceTo(object));
    if (path === undefined) return;
    try {
      this.#replace(path, object);
      this.#unwritten.delete(path);
    } catch (thrown) {
      this.#postpone(path, object, thrown);
    }
  }

  remove(reference: Reference): void {
    const path = this.#pathOf(reference);
    if (path === undefined) return;
    this.#unwritten.delete(path);
    rmSync(path, { force: true });
  }

  #replace(path: string, object: KubeObject): void {
    const { namespace, ...metadata } = object.metadata;
    const stored = { ...object, metadata: namespace === '' ? metadata : { namespace, ...metadata } };
    const draft = join(this.#folder, '.draft');
    mkdirSync(join(this.#folder, namespace), { recursive: true });
    writeFileSync(draft, `${JSON.stringify(stored, undefined, 2)}\n`);
    renameSync(draft, path);
  }

  #postpone(path: string, object: KubeObject, thrown: unknown): void {
    if (!this.#unwritten.has(path))
      log.error('an object is written later', { path, error: messageOf(thrown) });
    this.#unwritten.set(path, object);
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      for (const one of [...this.#unwritten.values()]) this.write(one);
    }, RETRY_MS);
  }

  /** `objects/shop/pod.web-1.json`, `objects/namespace.shop.json`; undefined for a kind that the mesh does not read. */
  #pathOf({ kind, group, namespace, name }: Reference): string | undefined {
    if (!isObjectKind(kind) || KINDS[kind].group !== group) return undefined;
    return join(this.#folder, namespace, `${kind.toLowerCase()}.${name}.json`);
  }
}
