/** How many lines about refused connections a pod may write: a flood of them must not become a flood of lines. */

import { TokenBucket } from '../../base/token-bucket.ts';
import { REFUSAL_LINES_PER_POD } from './limits.ts';

export class LogAllowance {
  readonly #bucket: TokenBucket;
  #left = 0;

  constructor(nowMs: number) {
    this.#bucket = new TokenBucket(REFUSAL_LINES_PER_POD, nowMs);
  }

  /** How many lines were left out since the last one that was allowed; undefined: leave this one out too. */
  take(nowMs: number): number | undefined {
    if (!this.#bucket.take(nowMs)) {
      this.#left++;
      return undefined;
    }
    const left = this.#left;
    this.#left = 0;
    return left;
  }
}
