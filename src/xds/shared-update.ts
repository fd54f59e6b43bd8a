/** A push as one thread hands it to others: the bytes of its resources once, in memory that all of them read. */

import type { RejectedResource, ResourceUpdate } from './mesh-resources.ts';

/** What a {@link ResourceUpdate} holds, but for the names of its resources, of which nobody but the sender has need. */
export interface SharedUpdate {
  readonly typeUrl: string;
  /** The resources, one behind another. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Where each of them ends. */
  readonly ends: Uint32Array;
  readonly removed: readonly string[];
}

/** A hundred thousand small copies for each thread would take longer to make, and the allocator would keep their memory. */
export function shareUpdate({ typeUrl, resources, removed }: ResourceUpdate): SharedUpdate {
  const ends = new Uint32Array(resources.length);
  let length = 0;
  for (const [i, { bytes }] of resources.entries()) {
    length += bytes.length;
    ends[i] = length;
  }
  const shared = new Uint8Array(new SharedArrayBuffer(length));
  for (const [i, { bytes }] of resources.entries()) shared.set(bytes, ends[i]! - bytes.length);
  return { typeUrl, bytes: shared, ends, removed };
}

/** The update again, its resources as views on the shared memory and named by their positions: 0, 1, 2 … */
export function readSharedUpdate({ typeUrl, bytes, ends, removed }: SharedUpdate): ResourceUpdate {
  const resources = Array.from(ends, (end, i) => {
    const begin = i === 0 ? 0 : ends[i - 1]!;
    return { name: String(i), bytes: bytes.subarray(begin, end) };
  });
  return { typeUrl, resources, removed };
}

/** Gives what was refused of the update that was read its names back. */
export function nameRejected(
  rejected: readonly RejectedResource[],
  resources: readonly { readonly name: string }[],
): RejectedResource[] {
  return rejected.map(({ name, reason }) => ({ name: resources[Number(name)]!.name, reason }));
}
