/** Tells when a crowd of connections has gone. */

/** Connections. Each leaves some 40 KB of OpenSSL's memory and 4 KB of the heap. */
export const CROWD = 256;
/** Of the most that there were at once. */
export const CROWD_SHARE = 0.25;

/** Looks at the number of connections at intervals. */
export class CrowdWatch {
  #most = 0;
  #last = 0;

  /** True once after at least a crowd and a quarter of all connections have gone and no more are just going. */
  hasGone(count: number): boolean {
    const isFalling = count < this.#last;
    this.#last = count;
    this.#most = Math.max(this.#most, count);
    if (isFalling || this.#most - count < Math.max(CROWD, this.#most * CROWD_SHARE)) return false;
    this.#most = count;
    return true;
  }
}
