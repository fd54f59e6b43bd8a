import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { parseConfigDump } from '../../../src/cli/config-dump.ts';
import { formatTable } from '../../../src/cli/printer.ts';
import {
  certificateRows,
  connectionRows,
  policyRows,
  SERVICE_COLUMNS,
  serviceRows,
  WORKLOAD_COLUMNS,
  workloadRows,
} from '../../../src/cli/ztunnel-tables.ts';

const DUMP = parseConfigDump(
  JSON.stringify({
    workloads: [
      {
        name: 'orders-0',
        namespace: 'shop',
        workloadIps: ['10.244.1.2', 'fd00::2'],
        node: 'node1',
        protocol: 'HBONE',
      },
      { name: 'db-0', namespace: 'data', workloadIps: ['10.244.2.3'], node: 'node2', protocol: 'TCP' },
    ],
    services: [
      {
        name: 'orders',
        namespace: 'shop',
        hostname: 'orders.shop.svc.cluster.local',
        vips: ['/10.96.0.9'],
        endpoints: { a: { status: 'Healthy' }, b: { status: 'Unhealthy' } },
        waypoint: { destination: 'shop/waypoint' },
      },
    ],
    policies: [{ name: 'p', namespace: 'shop', action: 'Allow', scope: 'WorkloadSelector' }],
    certificates: [
      {
        identity: 'spiffe://cluster.local/ns/shop/sa/orders',
        state: 'Available',
        certChain: [
          { serialNumber: '1', validFrom: '2026-01-01T00:00:00Z', expirationTime: '2026-01-02T00:00:00Z' },
        ],
        rootCerts: [
          { serialNumber: '2', validFrom: '2026-01-01T00:00:00Z', expirationTime: '2036-01-01T00:00:00Z' },
        ],
      },
      { identity: 'spiffe://cluster.local/ns/shop/sa/web', state: 'Initializing' },
    ],
    workloadState: {
      u: {
        state: 'Up',
        info: { name: 'orders-0', namespace: 'shop' },
        connections: {
          inbound: [
            {
              src: '10.244.2.3:4000',
              originalDst: '10.244.1.2:80',
              actualDst: '10.244.1.2:80',
              protocol: 'HBONE',
            },
          ],
          outbound: [
            {
              src: '10.244.1.2:4001',
              originalDst: '10.96.0.9:80',
              actualDst: '10.244.2.3:15008',
              protocol: 'HBONE',
            },
          ],
        },
      },
    },
  }),
  'test',
);

test('workloads are shown by namespace and name, with the columns of istioctl', () => {
  const text = formatTable(workloadRows(DUMP, {}), WORKLOAD_COLUMNS, true);
  assert.equal(
    text,
    'NAMESPACE   POD NAME   ADDRESS              NODE    WAYPOINT   PROTOCOL\n' +
      'data        db-0       10.244.2.3           node2   None       TCP\n' +
      'shop        orders-0   10.244.1.2,fd00::2   node1   None       HBONE\n',
  );
});

test('workloads can be narrowed by address, node and namespace', () => {
  assert.equal(workloadRows(DUMP, { address: 'fd00::2' }).length, 1);
  assert.equal(workloadRows(DUMP, { node: 'node2' })[0]?.name, 'db-0');
  assert.equal(workloadRows(DUMP, { namespace: 'none' }).length, 0);
});

test('a service shows how many of its endpoints are healthy', () => {
  const text = formatTable(serviceRows(DUMP, 'shop'), SERVICE_COLUMNS, false);
  assert.equal(text, 'shop   orders   10.96.0.9   shop/waypoint   1/2\n');
});

test('a certificate that has run out is shown as not valid, and one that is awaited has a line', () => {
  const rows = certificateRows(DUMP, new Date('2026-06-01T00:00:00Z'));
  assert.deepEqual(
    rows.map((row) => [row.type, row.status, row.valid]),
    [
      ['Leaf', 'Available', 'false'],
      ['Root', 'Available', 'true'],
      ['', 'Initializing', 'false'],
    ],
  );
});

test('connections show names for addresses unless the raw form is asked for', () => {
  const rows = connectionRows(DUMP, { raw: false });
  assert.deepEqual(
    rows.map((row) => [row.direction, row.local, row.remote, row.remoteTarget]),
    [
      ['Inbound', 'orders-0.shop:80', 'db-0.data:4000', ''],
      ['Outbound', 'orders-0.shop:4001', 'db-0.data:15008', 'orders.shop.svc.cluster.local:80'],
    ],
  );
  assert.equal(connectionRows(DUMP, { raw: true, direction: 'inbound' })[0]?.remote, '10.244.2.3:4000');
});

test('policies show action and scope', () => {
  assert.deepEqual(policyRows(DUMP, undefined), [
    { namespace: 'shop', name: 'p', action: 'Allow', scope: 'WorkloadSelector' },
  ]);
});

test('a file that is not a dump is refused with a code', () => {
  for (const text of ['', '{', '[]', '{"a":1}', 'null']) {
    assert.throws(
      () => parseConfigDump(text, 'file'),
      (error: AmbitError) => error instanceof AmbitError && error.code === 'AMBIT_CLI_BAD_DUMP',
      text,
    );
  }
});
