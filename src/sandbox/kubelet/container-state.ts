/** The state of a container, in the shapes of a Kubernetes pod status. */

export interface WaitingState {
  readonly waiting: { readonly reason: string; readonly message?: string };
}

export interface RunningState {
  readonly running: { readonly startedAt: string };
}

export interface TerminatedState {
  readonly terminated: {
    readonly exitCode: number;
    readonly reason: 'Completed' | 'Error';
    readonly message?: string;
    readonly signal?: number;
    readonly startedAt: string;
    readonly finishedAt: string;
  };
}

export type ContainerState = WaitingState | RunningState | TerminatedState;

/** An entry of `status.containerStatuses`. */
export interface ContainerStatus {
  readonly name: string;
  readonly image: string;
  readonly imageID: string;
  readonly containerID?: string;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  readonly state: ContainerState;
  readonly lastState: Partial<TerminatedState>;
}
