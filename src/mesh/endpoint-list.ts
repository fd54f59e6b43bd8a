/** Endpoints that are alike for a client, and the weighted random choice among them. */

import type { Workload } from './workload.ts';

export class EndpointList {
  readonly #workloads: readonly Workload[];
  readonly #ports: readonly number[];
  /** Running sums of the capacities; absent when all are equal, where the draw is an index at once. */
  readonly #sums: Float64Array | undefined;
  readonly #total: number;

  /** `ports[i]` is the port that `workloads[i]` serves; every capacity is above zero. */
  constructor(workloads: readonly Workload[], ports: readonly number[]) {
    this.#workloads = workloads;
    this.#ports = ports;
    const alike = workloads.every((workload) => workload.capacity === workloads[0]!.capacity);
    this.#sums = alike ? undefined : runningSums(workloads);
    this.#total = this.#sums?.at(-1) ?? workloads.length;
  }

  /** Draws an index by a number in [0, 1); -1 when there is nothing to draw. */
  draw(random: number): number {
    if (this.#total === 0) return -1;
    const point = random * this.#total;
    return this.#sums === undefined ? Math.floor(point) : firstAbove(this.#sums, point);
  }

  workload(index: number): Workload {
    return this.#workloads[index]!;
  }

  port(index: number): number {
    return this.#ports[index]!;
  }
}

/** The lists of one port of a service; clients in places that it does not tell apart share one. */
export interface PortChoices {
  readonly byPlace: Map<string, EndpointList>;
  /** The same lists by who asked before, which spares making the key of its place. */
  readonly bySource: Map<Workload, EndpointList>;
}

function runningSums(workloads: readonly Workload[]): Float64Array {
  const sums = new Float64Array(workloads.length);
  let sum = 0;
  for (let i = 0; i < workloads.length; i++) {
    sum += workloads[i]!.capacity;
    sums[i] = sum;
  }
  return sums;
}

/** Index of the first sum greater than the point. */
function firstAbove(sums: Float64Array, point: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! > point) high = middle;
    else low = middle + 1;
  }
  return low;
}
