/** How Ambit's two ends of delta xDS agree on states that are sent in parts. */

/**
 * A client that names this feature takes a state in several responses and waits for the last one. To any other a state
 * is one response: Istio's ztunnel calls itself ready after the first, and a mesh it knows by half would let
 * connections to the other half out in plain text.
 */
export const PARTIAL_RESPONSES_FEATURE = 'ambit.partial-responses';

/** Ends `system_version_info` of every response but the last of a state. */
const MORE_SUFFIX = '+more';

export function systemVersion(revision: number, more: boolean): string {
  return more ? `${revision}${MORE_SUFFIX}` : String(revision);
}

/** Whether other responses complete the state that this one begins or continues. */
export function isPartial(systemVersionInfo: string): boolean {
  return systemVersionInfo.endsWith(MORE_SUFFIX);
}
