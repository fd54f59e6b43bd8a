/** Whether something grows: a line through measurements, by least squares. */

export interface Point {
  /** In seconds. */
  readonly x: number;
  readonly y: number;
}

export interface Trend {
  /** Of y, per second. */
  readonly slope: number;
  /** Standard error of the slope. */
  readonly error: number;
}

/** @throws RangeError with less than three points, or all of them at one time */
export function trendOf(points: readonly Point[]): Trend {
  const count = points.length;
  const mean = (of: (point: Point) => number) => points.reduce((sum, one) => sum + of(one), 0) / count;
  const [meanX, meanY] = [mean(({ x }) => x), mean(({ y }) => y)];
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  if (count < 3 || spread === 0) throw new RangeError('a trend takes three points at different times');
  const slope = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const residuals = points.reduce((sum, { x, y }) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { slope, error: Math.sqrt(residuals / (count - 2) / spread) };
}

/** Standard errors that a slope must lie above a bound to be more than noise. */
const CERTAINTY = 2;

/** Whether it grows by more than the bound, per second, beyond what scatter explains. */
export function growsBeyond({ slope, error }: Trend, bound: number): boolean {
  return slope - CERTAINTY * error > bound;
}
