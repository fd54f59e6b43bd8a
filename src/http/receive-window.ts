/** One flow-control window in the receiving direction (RFC 9113 §6.9). */

/** Tracks what the peer may still send, and when the window is worth an update. */
export class ReceiveWindow {
  #size: number;
  #available: number;
  #returned = 0;

  constructor(size: number) {
    this.#size = size;
    this.#available = size;
  }

  /** Bytes that the peer may still send. */
  get available(): number {
    return this.#available;
  }

  /** Bytes received and not yet given back by the application. */
  get held(): number {
    return this.#size - this.#available - this.#returned;
  }

  /** False when the peer sent more than it was allowed. */
  take(bytes: number): boolean {
    this.#available -= bytes;
    return this.#available >= 0;
  }

  /**
   * The application is done with these bytes. Returns the increment to announce: 0 until half of the window is
   * used, since each update is a frame.
   */
  giveBack(bytes: number): number {
    this.#returned += bytes;
    if (this.#returned * 2 < this.#size) return 0;
    return this.#announce();
  }

  /** Another size from now on; may leave `available` below zero (RFC 9113 §6.9.2). */
  resize(size: number): void {
    this.#available += size - this.#size;
    this.#size = size;
  }

  #announce(): number {
    const increment = this.#returned;
    this.#returned = 0;
    this.#available += increment;
    return increment;
  }
}
