/** Connections for tests of what is counted and logged about them. */

import type { ConnectionDescription } from '../../../src/ztunnel/proxy/connection-tracker.ts';
import type {
  ConnectionAddresses,
  ConnectionParties,
} from '../../../src/ztunnel/telemetry/connection-parties.ts';
import { address } from '../../support/reactor-harness.ts';
import { spiffe, workload } from '../mesh/builders.ts';

/** web calls orders over mutual TLS. */
export function parties(fields: Partial<ConnectionParties> = {}): ConnectionParties {
  return {
    reporter: 'source',
    source: workload({ name: 'web-0', workloadName: 'web', canonicalName: 'web', canonicalRevision: 'v2' }),
    destination: workload({ name: 'orders-0', namespace: 'data', workloadName: 'orders', clusterId: 'east' }),
    sourceIdentity: spiffe('spiffe://cluster.local/ns/shop/sa/web'),
    destinationIdentity: spiffe('spiffe://cluster.local/ns/data/sa/orders'),
    service: { namespace: 'data', name: 'orders', hostname: 'orders.data.svc.cluster.local' },
    ...fields,
  };
}

export function addresses(fields: Partial<ConnectionAddresses> = {}): ConnectionAddresses {
  return {
    source: address('10.244.1.2:4001'),
    destination: address('10.244.2.3:15008'),
    hboneTarget: '10.244.2.3:8080',
    ...fields,
  };
}

export function description(fields: Partial<ConnectionDescription> = {}): ConnectionDescription {
  return {
    podUid: 'u1',
    parties: parties(),
    addresses: addresses(),
    originalDestination: address('10.96.0.9:80'),
    protocol: 'HBONE',
    ...fields,
  };
}
