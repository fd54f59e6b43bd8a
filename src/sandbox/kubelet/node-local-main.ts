/** Runs inside the network of a node: makes the kubelet's probes from there, and serves cluster DNS. */

import { rmSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';
import type { IpAddress } from '../../base/ip.ts';
import { DnsServer } from '../dns/dns-server.ts';
import { askProbe } from './network-probe.ts';
import type { FromNodeLocal, ToNodeLocal } from './node-local-messages.ts';

/** The admin API of ztunnel, on the loopback of the node. */
const ADMIN = { host: '127.0.0.1', port: 15000 };

/** Its arguments are the socket that is to lead to ztunnel's admin API, and the addresses to serve DNS on. */
async function main(adminSocket: string, addresses: readonly IpAddress[]): Promise<void> {
  const dns = new DnsServer();
  process.on('message', (message: ToNodeLocal) => {
    if (message.kind === 'dns') dns.setTable(message.table);
    else void askProbe(message.probe).then((answer) => send({ kind: 'answer', id: message.id, answer }));
  });
  // Without the daemon there is nobody to answer to.
  process.once('disconnect', () => process.exit(0));
  forward(adminSocket, ADMIN);
  await dns.listen(addresses);
  send({ kind: 'listening' });
  flushCompileCache();
}

function send(message: FromNodeLocal): void {
  if (process.connected) process.send?.(message);
}

/** Lets those outside the node's network in. */
function forward(socketPath: string, target: { readonly host: string; readonly port: number }): void {
  rmSync(socketPath, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    pipeline(socket, connect({ ...target, allowHalfOpen: true }), socket, () => {});
  });
  server.listen(socketPath);
}

await main(process.argv[2]!, process.argv.slice(3) as IpAddress[]);
