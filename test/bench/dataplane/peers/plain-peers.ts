/** Peers that need no program of others: nothing in between, and Ambit itself. */

import type { BenchSandbox } from '../bench-sandbox.ts';
import { SINK_PORT } from '../load/load-protocol.ts';
import type { Peer } from './peer.ts';

export function directPeer({ plain }: BenchSandbox): Peer {
  return { name: 'direct', client: plain.client, target: `${plain.backIp}:${SINK_PORT}`, pids: [] };
}

export async function ambitPeer(sandbox: BenchSandbox): Promise<Peer> {
  const { mesh } = sandbox;
  const pids = await sandbox.ztunnelPids();
  return { name: 'ambit', client: mesh.client, target: `${mesh.backIp}:${SINK_PORT}`, pids };
}
