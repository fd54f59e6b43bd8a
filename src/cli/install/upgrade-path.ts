/** Whether an installed version may be upgraded to that of this command. */

import { compareVersions, parseVersion } from '../cluster/part-version.ts';

export type UpgradePath =
  | { readonly kind: 'supported' }
  /** The same version: settings may have changed. */
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly reason: string };

/** One minor version at a time, and never back: proxies and control plane of neighbouring versions understand each other. */
export function upgradePath(from: string | undefined, to: string): UpgradePath {
  if (from === undefined) return refused('the installed version cannot be told');
  if (from === to) return { kind: 'same' };
  const [before, after] = [parseVersion(from), parseVersion(to)];
  if (before === undefined || after === undefined) return refused(`${from} cannot be compared with ${to}`);
  if (compareVersions(after, before) < 0) return refused(`${from} is installed, which is newer than ${to}`);
  if (after.major !== before.major) return refused(`${from} and ${to} differ in their major version`);
  if (after.minor - before.minor > 1) {
    return refused(`${from} and ${to} are ${after.minor - before.minor} minor versions apart`);
  }
  return { kind: 'supported' };
}

function refused(reason: string): UpgradePath {
  return { kind: 'refused', reason };
}
