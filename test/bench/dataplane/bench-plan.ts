/** How long and how often everything is measured. */

export interface BenchPlan {
  /** Of every measure with peers, who take turns. */
  readonly rounds: number;
  /** In rounds that nobody looks at, of each peer: a proxy runs for weeks, and V8 has compiled what is hot after 5 s. */
  readonly breakInMs: number;
  /** In each round. */
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly idleConnections: number;
  /** Who is there when a proxy starts again. */
  readonly crowd: { readonly pods: number; readonly workloads: number };
}

/** Many short rounds: what else happens on the machine for some seconds then meets every peer alike. */
export const FULL_PLAN: BenchPlan = {
  rounds: 5,
  breakInMs: 5000,
  warmupMs: 300,
  durationMs: 1000,
  idleConnections: 1000,
  crowd: { pods: 98, workloads: 10_000 },
};
/** A minute and a half. */
export const QUICK_PLAN: BenchPlan = {
  rounds: 3,
  breakInMs: 250,
  warmupMs: 80,
  durationMs: 200,
  idleConnections: 1000,
  crowd: { pods: 8, workloads: 1000 },
};
