/** What a delta xDS client holds of one type, by name and version: enough to go on after a reconnect. */

/** Bytes around a name and a version in initial_resource_versions, at most. */
const ENTRY_OVERHEAD_BYTES = 12;

export class HeldResources {
  readonly #versions = new Map<string, string>();
  /** After a reconnect: names the server was not told of, and has not mentioned yet. */
  #unconfirmed: Set<string> | undefined;
  #synced = false;

  get size(): number {
    return this.#versions.size;
  }

  /** Whether a whole state was received at least once. */
  get synced(): boolean {
    return this.#synced;
  }

  /**
   * The names and versions to begin a stream with, as many as fit into `maxBytes` (istiod takes requests of 4 MiB).
   * The server resends the others; those that it does not mention are gone, which {@link endOfState} finds out.
   */
  versionsToReport(maxBytes: number): ReadonlyMap<string, string> {
    const reported = new Map<string, string>();
    const unreported = new Set<string>();
    let room = maxBytes;
    for (const [name, version] of this.#versions) {
      room -= Buffer.byteLength(name) + Buffer.byteLength(version) + ENTRY_OVERHEAD_BYTES;
      if (room >= 0) reported.set(name, version);
      else unreported.add(name);
    }
    this.#unconfirmed = unreported;
    return reported;
  }

  /** The resource was sent, and taken. */
  accept(name: string, version: string): void {
    this.#unconfirmed?.delete(name);
    this.#versions.set(name, version);
  }

  /**
   * The resource was sent, and refused: an earlier state of it stays in force, under its earlier version, so that the
   * server sends the new one again after a reconnect, and also when it is removed meanwhile.
   */
  refuse(name: string): void {
    this.#unconfirmed?.delete(name);
  }

  remove(name: string): void {
    this.#unconfirmed?.delete(name);
    this.#versions.delete(name);
  }

  /** The first whole state of a stream is in: returns, and forgets, what it should have mentioned if it still existed. */
  endOfState(): string[] {
    this.#synced = true;
    const gone = [...(this.#unconfirmed ?? [])];
    this.#unconfirmed = undefined;
    for (const name of gone) this.#versions.delete(name);
    return gone;
  }
}
