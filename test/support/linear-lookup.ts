/** The slow and obviously right way to look objects up: by going through all of them. */

import {
  INDEXES,
  type IndexDefinition,
  type IndexedObject,
  type IndexName,
  type ObjectLookup,
} from '../../src/controlplane/compile/object-lookup.ts';
import type { KindMap, MeshObject, ObjectKind } from '../../src/objects/kinds.ts';

export class LinearLookup implements ObjectLookup {
  readonly #objects: readonly MeshObject[];

  constructor(objects: readonly MeshObject[]) {
    this.#objects = objects;
  }

  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined {
    const found = this.#objects.find(
      (one) => one.kind === kind && one.metadata.namespace === namespace && one.metadata.name === name,
    );
    return found as KindMap[K] | undefined;
  }

  find<N extends IndexName>(index: N, key: string): readonly IndexedObject<N>[] {
    const definition = INDEXES[index] as unknown as IndexDefinition<ObjectKind>;
    const found = this.#objects.filter(
      (one) => one.kind === definition.kind && definition.keys(one).includes(key),
    );
    return found as unknown as IndexedObject<N>[];
  }
}
