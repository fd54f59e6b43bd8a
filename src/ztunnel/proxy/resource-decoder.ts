/** Applies resources from the control plane to the mesh state; one that is not understood never harms the others. */

import { messageOf } from '../../base/errors.ts';
import type { MeshState } from '../../mesh/mesh-state.ts';
import type { ResourceUpdate } from './messages.ts';

/** A resource that was refused, and why. */
export interface RejectedResource {
  readonly name: string;
  readonly reason: string;
}

/** How a resource of one type becomes part of the state. */
export interface ResourceKind {
  readonly typeUrl: string;
  /** Throws when the bytes are no valid resource. */
  upsert(state: MeshState, bytes: Uint8Array): void;
  remove(state: MeshState, name: string): void;
}

/** Applies an update as one change and returns what was refused; a refused resource keeps its former version. */
export function applyUpdate(
  state: MeshState,
  kinds: readonly ResourceKind[],
  update: ResourceUpdate,
): RejectedResource[] {
  const kind = kinds.find((one) => one.typeUrl === update.typeUrl);
  if (kind === undefined) return [];
  const rejected: RejectedResource[] = [];
  state.batch(() => {
    for (const name of update.removed) kind.remove(state, name);
    for (const { name, bytes } of update.resources) {
      try {
        kind.upsert(state, bytes);
      } catch (thrown) {
        rejected.push({ name, reason: messageOf(thrown) });
      }
    }
  });
  return rejected;
}
