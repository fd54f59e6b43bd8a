/** Judges a soak: what grew steadily once everything was warm, and what failed. */

import { NODES, type NodeName } from '../support/two-pods.ts';
import type { ProxySample, SoakResult, SoakSample } from './run-soak.ts';
import { growsBeyond, type Trend, trendOf } from './trend.ts';

/** Until every part of the program has been compiled by the engine, and its heap and every pool have their size. */
export const WARM_UP_SHARE = 0.3;
/** Leaks of 17 bytes for each of the four hundred connections in a second are above it. */
export const MAX_MEGABYTES_PER_HOUR = 24;
export const MAX_DESCRIPTORS_PER_HOUR = 12;
const HOUR = 3600;
const TOLD_FAILURES = 3;

export type Quantity = keyof ProxySample;

export interface Growth {
  readonly node: NodeName;
  readonly quantity: Quantity;
  /** Per hour. */
  readonly slope: number;
  readonly error: number;
  readonly grows: boolean;
}

const BOUNDS: Readonly<Record<Quantity, number>> = {
  resident: MAX_MEGABYTES_PER_HOUR,
  anonymous: MAX_MEGABYTES_PER_HOUR,
  descriptors: MAX_DESCRIPTORS_PER_HOUR,
};

/** Samples from after the warm-up. */
export function warm(samples: readonly SoakSample[]): readonly SoakSample[] {
  return samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
}

export function growthOf(samples: readonly SoakSample[]): readonly Growth[] {
  return NODES.flatMap((node) =>
    (Object.keys(BOUNDS) as Quantity[]).map((quantity) => {
      const points = warm(samples).map(({ seconds, proxies }) => ({
        x: seconds,
        y: proxies[node][quantity],
      }));
      return { node, quantity, ...perHour(trendOf(points), BOUNDS[quantity]) };
    }),
  );
}

function perHour(trend: Trend, bound: number) {
  const grows = growsBeyond(trend, bound / HOUR);
  return { slope: trend.slope * HOUR, error: trend.error * HOUR, grows };
}

/** What is wrong, in words. */
export function faultsOf(result: SoakResult): readonly string[] {
  const growing = growthOf(result.samples)
    .filter(({ grows }) => grows)
    .map(({ node, quantity, slope, error }) => {
      return `${quantity} of the proxy of ${node} grows by ${slope.toFixed(1)} ± ${error.toFixed(1)} an hour; ${BOUNDS[quantity]} are allowed`;
    });
  const { failures } = result;
  const failed =
    failures.length === 0
      ? []
      : [`${failures.length} failures: ${failures.slice(0, TOLD_FAILURES).join('; ')}`];
  return [...growing, ...failed];
}
