/** A push as one thread hands it to others: the bytes of its resources once, in memory that all of them read. */

import type { ResourceUpdate } from './mesh-resources.ts';

/** What is left of a {@link ResourceUpdate}: the resources have been judged already, so their names are not needed. */
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

/** The update again, its resources without names and as views on the shared memory. */
export function readSharedUpdate({ typeUrl, bytes, ends, removed }: SharedUpdate): ResourceUpdate {
  const resources = Array.from(ends, (end, i) => {
    const begin = i === 0 ? 0 : ends[i - 1]!;
    return { name: '', bytes: bytes.subarray(begin, end) };
  });
  return { typeUrl, resources, removed };
}
