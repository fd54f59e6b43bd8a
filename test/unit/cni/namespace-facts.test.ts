/** Reading the kernel's lists of sockets. */

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressesIn,
  ipv6Facts,
  listeningPorts,
  parseListeningPorts,
} from '../../../src/cni/namespace-facts.ts';
import { NetworkNamespace } from '../../../src/sys/network-namespace.ts';

const LIST = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D2F4 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
`;
const LIST_V6 = `  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:3AA0 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
`;

test('only listening sockets count, of either family', () => {
  assert.deepEqual(parseListeningPorts(LIST), [15001]);
  assert.deepEqual(parseListeningPorts(LIST_V6), [15008]);
});

test('any text is read without an exception', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseListeningPorts(text)));
});

test('a port that is listened on is seen, and not any more once it is closed', async () => {
  const here = NetworkNamespace.current();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  assert.equal(listeningPorts(here).has(port), true);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(listeningPorts(here).has(port), false);
  here.close();
});

test('this machine’s own namespace can be looked at', () => {
  const here = NetworkNamespace.current();
  assert.equal(typeof ipv6Facts(here).inUse, 'boolean');
  assert.ok(!addressesIn(here).some((ip) => ip.startsWith('127.')));
  here.close();
});
