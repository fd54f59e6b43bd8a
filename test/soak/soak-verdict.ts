/** Judges a soak: what grew steadily once everything was warm, and what failed. */

import { spreadOf } from '../bench/dataplane/statistics.ts';
import { NODES, type NodeName } from '../support/two-pods.ts';
import type { ProxySample, SoakResult, SoakSample } from './run-soak.ts';
import { growsBeyond, type Point, trendOf } from './trend.ts';

/** Until every part of the program has been compiled by the engine, and its heap and every pool have their size. */
export const WARM_UP_SHARE = 0.3;
/** What leaks goes on growing; a heap that takes a step, or pages of the program that are touched once, do so in one part. */
export const PARTS = 3;
const HOUR = 3600;
const TOLD_FAILURES = 3;

export type Quantity = keyof ProxySample;

export interface Bound {
  readonly perHour: number;
  /** From the first part to the last one, however it came about. */
  readonly rise: number;
}

/** Leaks of 17 bytes for each of the four hundred connections in a second are above it. */
const MEGABYTES: Bound = { perHour: 24, rise: 10 };
export const BOUNDS: Readonly<Record<Quantity, Bound>> = {
  resident: MEGABYTES,
  anonymous: MEGABYTES,
  descriptors: { perHour: 12, rise: 4 },
};

export interface Growth {
  readonly node: NodeName;
  readonly quantity: Quantity;
  /** Per hour, in that part of the time whose slope is in the middle. */
  readonly slope: number;
  readonly error: number;
  readonly grows: boolean;
  /** Between the medians of the first part and of the last one. */
  readonly rise: number;
}

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
      return { node, quantity, ...growthIn(points, BOUNDS[quantity]) };
    }),
  );
}

function growthIn(points: readonly Point[], bound: Bound) {
  const parts = inParts(points);
  const trends = parts.map(trendOf).toSorted((a, b) => a.slope - b.slope);
  const { slope, error } = trends[Math.floor(PARTS / 2)]!;
  const grows = growsBeyond({ slope, error }, bound.perHour / HOUR);
  return {
    slope: slope * HOUR,
    error: error * HOUR,
    grows,
    rise: medianOf(parts.at(-1)!) - medianOf(parts[0]!),
  };
}

function inParts(points: readonly Point[]): readonly (readonly Point[])[] {
  const at = (part: number) => Math.floor((points.length * part) / PARTS);
  return Array.from({ length: PARTS }, (_, part) => points.slice(at(part), at(part + 1)));
}

function medianOf(points: readonly Point[]): number {
  return spreadOf(points.map(({ y }) => y)).median;
}

/** What is wrong, in words. */
export function faultsOf(result: SoakResult): readonly string[] {
  const growth = growthOf(result.samples);
  const growing = growth
    .filter(({ grows }) => grows)
    .map(({ node, quantity, slope, error }) => {
      const allowed = `${BOUNDS[quantity].perHour} are allowed`;
      return `${quantity} of the proxy of ${node} grows by ${slope.toFixed(1)} ± ${error.toFixed(1)} an hour; ${allowed}`;
    });
  const risen = growth
    .filter(({ quantity, rise }) => rise > BOUNDS[quantity].rise)
    .map(({ node, quantity, rise }) => {
      return `${quantity} of the proxy of ${node} rose by ${rise.toFixed(1)}; ${BOUNDS[quantity].rise} are allowed`;
    });
  const { failures } = result;
  const failed =
    failures.length === 0
      ? []
      : [`${failures.length} failures: ${failures.slice(0, TOLD_FAILURES).join('; ')}`];
  return [...growing, ...risen, ...failed];
}
