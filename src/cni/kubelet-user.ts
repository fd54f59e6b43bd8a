/** As which user kubelet runs, so that other users' processes on the node are not taken for it. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Of processes that are kubelet or have it in them: kubelet itself, MicroK8s, K3s. */
const KUBELET_NAMES = ['kubelet', 'kubelite', 'k3s', 'k3s-server', 'k3s-agent'];

/**
 * @param proc the node's /proc, where this process sees it
 * @returns its user id; undefined when no such process is to be seen, or when several have different users
 */
export function kubeletUser(proc: string): number | undefined {
  const users = new Set<number>();
  for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
    try {
      const name = readFileSync(join(proc, pid, 'comm'), 'utf8').trim();
      if (KUBELET_NAMES.includes(name)) users.add(statSync(join(proc, pid)).uid);
    } catch {
      // It ended just now.
    }
  }
  return users.size === 1 ? [...users][0] : undefined;
}
