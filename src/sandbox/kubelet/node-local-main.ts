/** Runs inside the network of a node: makes the kubelet's probes from there, and serves cluster DNS. */

import type { IpAddress } from '../../base/ip.ts';
import { DnsServer } from '../dns/dns-server.ts';
import { askProbe } from './network-probe.ts';
import type { FromNodeLocal, ToNodeLocal } from './node-local-messages.ts';

/** Its arguments are the addresses to serve DNS on. */
async function main(addresses: readonly IpAddress[]): Promise<void> {
  const dns = new DnsServer();
  process.on('message', (message: ToNodeLocal) => {
    if (message.kind === 'dns') dns.setTable(message.table);
    else void askProbe(message.probe).then((answer) => send({ kind: 'answer', id: message.id, answer }));
  });
  // Without the daemon there is nobody to answer to.
  process.once('disconnect', () => process.exit(0));
  await dns.listen(addresses);
  send({ kind: 'listening' });
}

function send(message: FromNodeLocal): void {
  if (process.connected) process.send?.(message);
}

await main(process.argv.slice(2) as IpAddress[]);
