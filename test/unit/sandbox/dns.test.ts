/** Cluster DNS: which names there are, and how they are answered. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../../src/base/ip.ts';
import type { Pod, Service } from '../../../src/objects/core-types.ts';
import { dnsRecords } from '../../../src/sandbox/dns/dns-records.ts';
import { DnsServer } from '../../../src/sandbox/dns/dns-server.ts';
import { encodeName, TYPE_A, TYPE_AAAA } from '../../../src/ztunnel/dns/dns-message.ts';

function service(name: string, spec: Service['spec']): Service {
  return { kind: 'Service', metadata: { name, namespace: 'shop', uid: name, generation: 1 }, spec: spec! };
}

function pod(name: string, ready: boolean, ips: readonly string[], spec: object = {}): Pod {
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: name, generation: 1, labels: { app: 'db' } },
    spec: { containers: [], ...spec },
    status: {
      phase: 'Running',
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

const HEADLESS = {
  clusterIP: 'None',
  clusterIPs: ['None'],
  selector: { app: 'db' },
  ports: [{ port: 5432 }],
};
const PODS = [
  pod('db-0', true, ['10.244.1.2', 'fd00::2'], { hostname: 'db-0', subdomain: 'db' }),
  pod('db-1', false, ['10.244.1.3'], { hostname: 'db-1', subdomain: 'db' }),
  pod('other', true, ['10.244.2.7']),
];
const TABLE = dnsRecords(
  [
    service('web', { clusterIPs: ['10.96.1.0', 'fd00:10:96::100'], ports: [{ port: 80 }] }),
    service('db', HEADLESS),
    service('ext', { type: 'ExternalName', externalName: 'web.shop.svc.cluster.local.' }),
  ],
  { pods: PODS, slices: [] },
);

function server(): DnsServer {
  const dns = new DnsServer();
  dns.setTable(TABLE);
  return dns;
}

/** Asks one question; the answer's code and how many records it holds. */
function ask(name: string, type: number): { readonly rcode: number; readonly answers: number } {
  const header = Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0);
  const query = Buffer.concat([header, encodeName(name), Uint8Array.of(0, type, 0, 1)]);
  const answer = server().answer(query, 'udp')!;
  assert.deepEqual([...answer.subarray(0, 2)], [0x12, 0x34]);
  return { rcode: answer[3]! & 0x0f, answers: (answer[6]! << 8) | answer[7]! };
}

test('a service has its VIPs, by family', () => {
  assert.deepEqual(ask('web.shop.svc.cluster.local', TYPE_A), { rcode: 0, answers: 1 });
  assert.deepEqual(ask('WEB.shop.svc.Cluster.Local', TYPE_AAAA), { rcode: 0, answers: 1 });
});

test('a headless service is its ready pods, each with a name of its own', () => {
  assert.deepEqual(TABLE.addresses['db.shop.svc.cluster.local'], ['10.244.1.2', 'fd00::2', '10.244.2.7']);
  assert.deepEqual(TABLE.addresses['db-0.db.shop.svc.cluster.local'], ['10.244.1.2', 'fd00::2']);
  assert.deepEqual(TABLE.addresses['10-244-2-7.db.shop.svc.cluster.local'], ['10.244.2.7']);
  assert.equal(TABLE.addresses['db-1.db.shop.svc.cluster.local'], undefined);
});

test('publishNotReadyAddresses publishes pods that are not ready', () => {
  const all = dnsRecords([service('db', { ...HEADLESS, publishNotReadyAddresses: true })], {
    pods: PODS,
    slices: [],
  });
  assert.deepEqual(all.addresses['db-1.db.shop.svc.cluster.local'], ['10.244.1.3']);
});

test('an external name is an alias, followed where it leads into the cluster', () => {
  assert.deepEqual(ask('ext.shop.svc.cluster.local', TYPE_A), { rcode: 0, answers: 2 });
});

test('a name without addresses of the family exists, as do the names above it; others do not', () => {
  assert.deepEqual(ask('10-244-2-7.db.shop.svc.cluster.local', TYPE_AAAA), { rcode: 0, answers: 0 });
  assert.deepEqual(ask('svc.cluster.local', TYPE_A), { rcode: 0, answers: 0 });
  assert.deepEqual(ask('web.other.svc.cluster.local', TYPE_A), { rcode: 3, answers: 0 });
  assert.deepEqual(ask('www.example.com', TYPE_A), { rcode: 3, answers: 0 });
});

test('a long answer is cut to what the client takes over UDP, and whole over TCP', () => {
  const dns = new DnsServer();
  const many = Array.from({ length: 100 }, (_, i) => `10.244.9.${i + 1}` as IpAddress);
  dns.setTable({ addresses: { many: many }, aliases: {} });
  const query = Buffer.concat([
    Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    encodeName('many'),
    Uint8Array.of(0, TYPE_A, 0, 1),
  ]);
  const short = dns.answer(query, 'udp')!;
  assert.ok(short.length <= 512);
  assert.equal(short[2]! & 0x02, 0x02);
  const whole = dns.answer(query, 'tcp')!;
  assert.equal((whole[6]! << 8) | whole[7]!, 100);
});

test('no message makes the server throw', () => {
  const dns = server();
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 600 }),
      fc.constantFrom<('udp' | 'tcp')[]>('udp', 'tcp'),
      (bytes, transport) => {
        dns.answer(bytes, transport);
      },
    ),
  );
});
