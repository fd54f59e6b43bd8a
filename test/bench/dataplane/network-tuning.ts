/** The same network for every peer and machine: congestion control, ports, and how long the used ones are kept. */

import { readFileSync, writeFileSync } from 'node:fs';
import { runCommand } from '../../../src/sandbox/host/run-command.ts';
import type { SandboxSession } from '../../support/sandbox-session.ts';

const ALLOWED = '/proc/sys/net/ipv4/tcp_allowed_congestion_control';
/** Linux's own default. BBR, that of some machines, halves every figure over a veth, and its timers keep the cores busy. */
export const CONGESTION_CONTROL = 'cubic';
/** Ports enough for connections that are used once, given back after a second instead of a minute. */
const SYSCTLS = [
  `net.ipv4.tcp_congestion_control=${CONGESTION_CONTROL}`,
  'net.ipv4.ip_local_port_range=16000 65000',
  'net.ipv4.tcp_tw_reuse=1',
];
const CONNTRACK = 'net.netfilter.nf_conntrack_tcp_timeout_time_wait=1';

/**
 * A namespace may only choose among what the machine allows to everybody, which root widens for the time of the bench.
 * @throws Error with the setting, where that is needed and not permitted
 */
export function allowCubic(): Disposable {
  const allowed = readFileSync(ALLOWED, 'utf8').trim();
  if (allowed.split(' ').includes(CONGESTION_CONTROL)) return { [Symbol.dispose]: () => {} };
  try {
    writeFileSync(ALLOWED, `${allowed} ${CONGESTION_CONTROL}`);
  } catch (thrown) {
    const setting = `net.ipv4.tcp_allowed_congestion_control="${allowed} ${CONGESTION_CONTROL}"`;
    throw new Error(`as root, first: sysctl -w ${setting}`, { cause: thrown });
  }
  return { [Symbol.dispose]: () => writeFileSync(ALLOWED, allowed) };
}

/** In the nodes and in the pods of these Kubernetes namespaces. */
export async function tuneNetwork(session: SandboxSession, namespaces: readonly string[]): Promise<void> {
  const { nodes, pods } = await session.facts();
  const tuned = pods.filter(({ namespace }) => namespaces.includes(namespace));
  for (const { enter } of [...nodes, ...tuned]) {
    await runCommand([...enter!, 'sysctl', '-q', '-w', ...SYSCTLS]);
    // Where nothing is tracked there is no such setting.
    await runCommand([...enter!, 'sysctl', '-q', '-e', '-w', CONNTRACK]);
  }
}
