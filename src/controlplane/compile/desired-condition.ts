/** A status condition as compilation wants it; when it last changed is for the writer of the status to know. */

export interface DesiredCondition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}
