import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trafficLabels } from '../../../src/ztunnel/telemetry/connection-parties.ts';
import { TRAFFIC_LABELS } from '../../../src/ztunnel/telemetry/metric-definitions.ts';
import { workload } from '../mesh/builders.ts';
import { parties } from './connections.ts';

function labelled(fields: Parameters<typeof parties>[0], flag = '-'): Record<string, string> {
  const values = trafficLabels(parties(fields), flag);
  assert.equal(values.length, TRAFFIC_LABELS.length);
  return Object.fromEntries(TRAFFIC_LABELS.map((name, i) => [name, values[i]!]));
}

test('the labels of a connection stand under their own names', () => {
  assert.deepEqual(labelled({}, 'DENY'), {
    reporter: 'source',
    source_workload: 'web',
    source_canonical_service: 'web',
    source_canonical_revision: 'v2',
    source_workload_namespace: 'shop',
    source_principal: 'spiffe://cluster.local/ns/shop/sa/web',
    source_app: 'web',
    source_version: 'v2',
    source_cluster: 'Kubernetes',
    destination_service: 'orders.data.svc.cluster.local',
    destination_service_namespace: 'data',
    destination_service_name: 'orders',
    destination_workload: 'orders',
    destination_canonical_service: 'orders-0',
    destination_canonical_revision: 'v1',
    destination_workload_namespace: 'data',
    destination_principal: 'spiffe://cluster.local/ns/data/sa/orders',
    destination_app: 'orders-0',
    destination_version: 'v1',
    destination_cluster: 'east',
    request_protocol: 'tcp',
    response_flags: 'DENY',
    connection_security_policy: 'mutual_tls',
  });
});

test('what is not known says so, and never stays empty', () => {
  const nothing = {
    source: undefined,
    destination: undefined,
    sourceIdentity: undefined,
    destinationIdentity: undefined,
    service: undefined,
  };
  const { reporter, request_protocol, response_flags, ...rest } = labelled(nothing);
  assert.deepEqual([reporter, request_protocol, response_flags], ['source', 'tcp', '-']);
  assert.deepEqual(new Set(Object.values(rest)), new Set(['unknown']));
  const bare = workload({
    name: 'web-0',
    workloadName: '',
    canonicalName: '',
    canonicalRevision: '',
    clusterId: '',
  });
  const labels = labelled({ source: bare });
  assert.equal(labels.source_workload, 'web-0');
  for (const name of ['canonical_service', 'canonical_revision', 'app', 'version', 'cluster']) {
    assert.equal(labels[`source_${name}`], 'unknown', name);
  }
});

test('a connection counts as mutual TLS only when both identities are known', () => {
  const policy = 'connection_security_policy';
  assert.equal(labelled({ sourceIdentity: undefined })[policy], 'unknown');
  assert.equal(labelled({ destinationIdentity: undefined })[policy], 'unknown');
});

test('a peer that is known by its certificate alone has its namespace and principal from there', () => {
  const labels = labelled({ reporter: 'destination', source: undefined });
  assert.equal(labels.reporter, 'destination');
  assert.equal(labels.source_workload, 'unknown');
  assert.equal(labels.source_workload_namespace, 'shop');
  assert.equal(labels.source_principal, 'spiffe://cluster.local/ns/shop/sa/web');
});
