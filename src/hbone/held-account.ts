/** What one owner's queues of unsent bytes hold together, and how much that may be. */

/** A plain sum: every byte that is held passes here. */
export class HeldAccount {
  bytes = 0;
  readonly limit: number;
  readonly #onOverdrawn: () => void;

  /** @param onOverdrawn called whenever bytes were added beyond the limit */
  constructor(limit: number, onOverdrawn: () => void) {
    this.limit = limit;
    this.#onOverdrawn = onOverdrawn;
  }

  get overdrawn(): boolean {
    return this.bytes > this.limit;
  }

  add(bytes: number): void {
    this.bytes += bytes;
    if (this.overdrawn) this.#onOverdrawn();
  }

  remove(bytes: number): void {
    this.bytes -= bytes;
  }
}
