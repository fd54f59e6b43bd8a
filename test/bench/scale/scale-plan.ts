/** How large the cluster of the scale benchmark is. */

export interface ScalePlan {
  readonly nodes: number;
  readonly services: number;
  /** Of each service; each is an endpoint of it. */
  readonly podsPerService: number;
  /** xDS clients, one for each proxy that a cluster of this size has. */
  readonly clients: number;
  /** Pods replaced by others in a second: one service at a time, as a rolling restart does. */
  readonly podsPerSecond: number;
  readonly churnSeconds: number;
}

/** What the mesh is made for. */
export const FULL_PLAN: ScalePlan = {
  nodes: 200,
  services: 1000,
  podsPerService: 10,
  clients: 200,
  podsPerSecond: 100,
  churnSeconds: 30,
};

/** The same in a minute, of which half is starting an API server. */
export const QUICK_PLAN: ScalePlan = {
  nodes: 20,
  services: 50,
  podsPerService: 10,
  clients: 20,
  podsPerSecond: 50,
  churnSeconds: 5,
};

export function podCount(plan: ScalePlan): number {
  return plan.services * plan.podsPerService;
}
