/** Settings of a pod's network namespace that are other ones for a while. */

import type { LivePod } from '../support/mesh-pods.ts';

/** Runs the action with these values, by their paths below /proc/sys/net/ipv4; those from before are in force afterwards. */
export async function withSysctls(
  { netns }: LivePod,
  values: Readonly<Record<string, string>>,
  action: () => Promise<void>,
): Promise<void> {
  const set = (name: string, value: string) => netns.run(`sh -c 'echo ${value} >/proc/sys/net/ipv4/${name}'`);
  const before = Object.keys(values).map(
    (name) => [name, netns.run(`cat /proc/sys/net/ipv4/${name}`).trim()] as const,
  );
  for (const [name, value] of Object.entries(values)) set(name, value);
  try {
    await action();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}
