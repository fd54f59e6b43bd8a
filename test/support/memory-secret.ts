/** A Secret as an API server keeps one: every write needs the version that it replaces. */

import type { CaSecret, CaSecretClient, CaSecretContent } from '../../src/controlplane/ca/ca-secret.ts';

export class MemorySecret implements CaSecretClient {
  readonly place = 'ambit-system/ambit-ca';
  current: CaSecret | undefined;
  writes = 0;
  /** Thrown by every access. */
  failure: Error | undefined;
  readonly #watchers = new Set<() => void>();
  #version = 0;

  async read(): Promise<CaSecret | undefined> {
    if (this.failure !== undefined) throw this.failure;
    return this.current;
  }

  async create(content: CaSecretContent): Promise<boolean> {
    if (this.current !== undefined) return false;
    this.put(content.data, content.annotations);
    return true;
  }

  async replace(before: CaSecret, content: CaSecretContent): Promise<boolean> {
    if (this.failure !== undefined) throw this.failure;
    if (this.current?.resourceVersion !== before.resourceVersion) return false;
    this.put(content.data, content.annotations);
    return true;
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  /** What a person does, or another controller. */
  put(data: CaSecret['data'], annotations: CaSecret['annotations'] = {}): void {
    this.writes++;
    this.current = { resourceVersion: String(++this.#version), data, annotations };
    this.#tell();
  }

  delete(): void {
    this.current = undefined;
    this.#tell();
  }

  #tell(): void {
    for (const watcher of this.#watchers) setImmediate(watcher);
  }
}
