/** Writes the addresses that the mesh gives to hosts of ServiceEntries into their status, where they survive restarts. */

import { AmbitError } from '../../base/errors.ts';
import { type ObjectSource, objectKey, referenceOf } from '../../objects/object-source.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import { type AddressChange, planAddresses } from './address-allocation.ts';

export class AddressAllocator {
  readonly queue = new KeyedQueue('allocated addresses');
  readonly #source: ObjectSource;

  constructor(source: ObjectSource) {
    this.#source = source;
  }

  /** Compares all entries with what they should have; what differs is written. */
  allocate(): void {
    const changes = planAddresses(this.#source.list('ServiceEntry'));
    const wanted = new Set(changes.map(({ entry }) => objectKey(referenceOf(entry))));
    this.queue.retain(wanted);
    for (const change of changes) {
      this.queue.put(objectKey(referenceOf(change.entry)), () => this.#write(change));
    }
  }

  /** Somebody else allocates from now on. */
  close(): void {
    this.queue.clear();
  }

  async #write({ entry, addresses }: AddressChange): Promise<void> {
    const reference = referenceOf(entry);
    // What was planned counts for the entry as it was then; a later one has a plan of its own.
    if (this.#source.get('ServiceEntry', reference.namespace, reference.name) !== entry) return;
    try {
      await this.#source.patch(reference, { status: { addresses } });
    } catch (thrown) {
      if (!(thrown instanceof AmbitError) || thrown.code !== 'AMBIT_OBJECT_NOT_FOUND') throw thrown;
    }
  }
}
