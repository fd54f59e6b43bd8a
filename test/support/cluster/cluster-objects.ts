/** Objects of a cluster in the parts that tests look at. */

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly deletionTimestamp?: string;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string;
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly containerID?: string;
}

export interface Pod {
  readonly metadata: ObjectMeta;
  readonly spec: { readonly nodeName: string; readonly hostNetwork?: boolean };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface Service {
  readonly metadata: ObjectMeta;
  readonly spec: { readonly clusterIP: string; readonly clusterIPs: readonly string[] };
}

export interface Node {
  readonly metadata: ObjectMeta;
  readonly status: { readonly conditions: readonly Condition[] };
}

export interface Event {
  readonly reason: string;
  readonly message: string;
  readonly type: string;
  readonly involvedObject: { readonly kind: string; readonly name: string };
}

export interface ListOf<T> {
  readonly items: readonly T[];
}

/** Whether a condition of an object is true. */
export function hasCondition(conditions: readonly Condition[] | undefined, type: string): boolean {
  return conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
}

export function isReady(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && hasCondition(pod.status.conditions, 'Ready');
}

/** How often containers of the pod were started again. */
export function restartsOf(pod: Pod): number {
  return (pod.status.containerStatuses ?? []).reduce((sum, one) => sum + one.restartCount, 0);
}
