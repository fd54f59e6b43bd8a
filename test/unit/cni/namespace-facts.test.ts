/** Looking at a network namespace from the inside, and reading lists of listeners. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressesIn, ipv6Facts } from '../../../src/cni/namespace-facts.ts';
import { isProxyThere, parseListeners } from '../../../src/cni/proxy-presence.ts';
import { NetworkNamespace } from '../../../src/sys/network-namespace.ts';

const LIST = `LISTEN 0      511    127.0.0.1:15008 0.0.0.0:*
LISTEN 0      511        [::1]:15006    [::]:*
LISTEN 0      128            *:15001       *:*
`;

test('a proxy is there when all of its ports are listened on, in either family', () => {
  assert.deepEqual(parseListeners(LIST), [15008, 15006, 15001]);
  assert.equal(isProxyThere({ status: 0, stdout: LIST, stderr: '' }), true);
  assert.equal(isProxyThere({ status: 0, stdout: LIST.replace('15006', '5006'), stderr: '' }), false);
  assert.equal(isProxyThere({ status: 127, stdout: '', stderr: 'ss: not found' }), undefined);
});

test('any text is read without an exception', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseListeners(text)));
});

test('a port that is really listened on is listed', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  assert.ok(parseListeners(execFileSync('ss', ['-Hltn'], { encoding: 'utf8' })).includes(port));
  await new Promise((resolve) => server.close(resolve));
});

test('this machine’s own namespace can be looked at', () => {
  const here = NetworkNamespace.current();
  assert.equal(typeof ipv6Facts(here).inUse, 'boolean');
  assert.ok(!addressesIn(here).some((ip) => ip.startsWith('127.')));
  here.close();
});
