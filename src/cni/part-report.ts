/** What a part of the node's set-up is like, for reports. */

export interface PartReport {
  readonly ok: boolean;
  /** What is wrong. */
  readonly detail?: string;
  /** When somebody else's change of it was last undone; RFC 3339. */
  readonly repairedAt?: string;
}
