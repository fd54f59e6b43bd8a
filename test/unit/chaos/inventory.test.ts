/** What counts as left behind after a fault. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences, type Inventory } from '../../chaos/inventory.ts';

const BEFORE: Inventory = {
  networks: { east: ['-A OUTPUT -j ISTIO_OUTPUT', 'tcp LISTEN 0 4096 *:15008', 'tcp LISTEN 0 4096 *:15008'] },
  networkNamespaces: 5,
  processes: { 'node main.ts ztunnel': 2 },
  files: ['nodes/node1/zds.sock'],
  descriptors: { 'ztunnel of node1': 80 },
};

test('the same again is nothing left, and so are a few descriptors of a pool', () => {
  assert.deepEqual(differences(BEFORE, { ...BEFORE, descriptors: { 'ztunnel of node1': 90 } }), []);
});

test('a rule too many, a listener too few, a process, a namespace, a file and descriptors are told each', () => {
  const now: Inventory = {
    networks: { east: [...BEFORE.networks.east!.slice(0, 2), '-N LEFT'] },
    networkNamespaces: 6,
    processes: { 'node main.ts ztunnel': 2, zombie: 1 },
    files: ['nodes/node1/zds.sock', 'nodes/node1/zds.sock.123'],
    descriptors: { 'ztunnel of node1': 200 },
  };
  assert.deepEqual(differences(BEFORE, now), [
    'east: 2 → 1 × tcp LISTEN 0 4096 *:15008',
    'east: 0 → 1 × -N LEFT',
    'processes: zombie 0 → 1',
    'in all: namespaces 5 → 6',
    'files: 0 → 1 × nodes/node1/zds.sock.123',
    'descriptors: ztunnel of node1 80 → 200',
  ]);
});

test('a process that does not run again is told too', () => {
  assert.deepEqual(differences(BEFORE, { ...BEFORE, processes: { 'node main.ts ztunnel': 1 } }), [
    'processes: node main.ts ztunnel 2 → 1',
  ]);
});
