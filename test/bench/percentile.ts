/** The smallest of measured values that at least a share of them do not exceed. */

/** @param sorted ascending; undefined when there is none */
export function percentileOf(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.ceil(share * sorted.length) - 1];
}
