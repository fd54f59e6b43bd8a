/** How long and how often everything is measured. */

export interface BenchPlan {
  /** Of every measure with peers, who take turns. */
  readonly rounds: number;
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly idleConnections: number;
  /** Who is there when a proxy starts again. */
  readonly crowd: { readonly pods: number; readonly workloads: number };
}

export const FULL_PLAN: BenchPlan = {
  rounds: 3,
  warmupMs: 500,
  durationMs: 2000,
  idleConnections: 1000,
  crowd: { pods: 98, workloads: 10_000 },
};
/** About a minute. */
export const QUICK_PLAN: BenchPlan = {
  rounds: 2,
  warmupMs: 100,
  durationMs: 300,
  idleConnections: 1000,
  crowd: { pods: 8, workloads: 1000 },
};
