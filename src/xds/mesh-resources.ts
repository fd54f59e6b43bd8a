/** Turns the bytes of xDS resources into mesh state: one that is not understood never harms the others. */

import { messageOf } from '../base/errors.ts';
import type { MeshState } from '../mesh/mesh-state.ts';
import { decodeAuthorization } from './authorization-conversion.ts';
import { Authorization } from './authorization-messages.ts';
import { decodeAddress } from './workload-conversion.ts';
import { Address } from './workload-messages.ts';

/** A push as it came: resources by name, still encoded. */
export interface ResourceUpdate {
  readonly typeUrl: string;
  readonly resources: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  readonly removed: readonly string[];
}

/** A resource that was refused, and why. */
export interface RejectedResource {
  readonly name: string;
  readonly reason: string;
}

export const ADDRESS_TYPE_URL = Address.typeUrl;
export const AUTHORIZATION_TYPE_URL = Authorization.typeUrl;
/** What a node proxy subscribes to. */
export const MESH_TYPE_URLS: readonly string[] = [ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL];

/** Applies an update as one change and returns what was refused; a refused resource keeps its former version. */
export function applyUpdate(state: MeshState, update: ResourceUpdate): RejectedResource[] {
  const { typeUrl, resources, removed } = update;
  const rejected: RejectedResource[] = [];
  state.batch(() => {
    for (const name of removed) removeResource(state, typeUrl, name);
    for (const { name, bytes } of resources) {
      try {
        applyResource(state, typeUrl, bytes);
      } catch (thrown) {
        rejected.push({ name, reason: messageOf(thrown) });
      }
    }
  });
  return rejected;
}

function applyResource(state: MeshState, typeUrl: string, bytes: Uint8Array): void {
  if (typeUrl === AUTHORIZATION_TYPE_URL) return state.upsertAuthorization(decodeAuthorization(bytes));
  const address = decodeAddress(bytes);
  if (address.kind === 'workload') state.upsertWorkload(address.workload);
  else state.upsertService(address.service);
}

function removeResource(state: MeshState, typeUrl: string, name: string): void {
  if (typeUrl === AUTHORIZATION_TYPE_URL) state.removeAuthorization(name);
  else state.removeAddress(name);
}
