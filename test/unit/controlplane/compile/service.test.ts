/** What becomes of a Service. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileMesh } from '../../../support/compile-mesh.ts';
import { make, namespace, type ServiceInput, service } from '../../../support/mesh-objects.ts';

const HOST = 'web.shop.svc.cluster.local';

function compiled(input: Partial<ServiceInput> = {}) {
  return compileMesh([service({ name: 'web', ...input })]).services[HOST];
}

test('a Service has its host name, its addresses and its ports', () => {
  assert.deepEqual(compiled(), {
    name: 'web',
    namespace: 'shop',
    hostname: HOST,
    addresses: [{ network: '', ip: '10.96.0.1' }],
    ports: [{ servicePort: 80, targetPort: 8080, appProtocol: 'HTTP11' }],
    subjectAltNames: [],
    ipFamilies: 'AUTOMATIC',
    extensions: [],
    canonical: true,
    ingressUseWaypoint: false,
    weightedWaypoints: [],
    visibility: 'PUBLIC',
  });
});

test('the domain of the cluster is part of the host name', () => {
  const { services } = compileMesh([service({ name: 'web' })], { clusterDomain: 'example.org' });
  assert.deepEqual(Object.keys(services), ['web.shop.svc.example.org']);
});

test('a dual-stack Service has both addresses; families are as the Service says', () => {
  const dual = compiled({
    spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00:96::1'], ipFamilies: ['IPv4', 'IPv6'] },
  });
  assert.deepEqual(
    dual?.addresses.map((one) => one.ip),
    ['10.96.0.1', 'fd00:96::1'],
  );
  assert.equal(dual?.ipFamilies, 'DUAL');
  assert.equal(compiled({ spec: { ipFamilies: ['IPv6'] } })?.ipFamilies, 'IPV6_ONLY');
  assert.equal(compiled({ spec: { ipFamilies: ['IPv4'] } })?.ipFamilies, 'IPV4_ONLY');
});

test('a headless Service is known by name and has no address', () => {
  const headless = compiled({ ip: 'None' });
  assert.deepEqual(headless?.addresses, []);
  assert.equal(headless?.hostname, HOST);
});

test('an ExternalName Service is not part of the mesh', () => {
  assert.equal(compiled({ spec: { type: 'ExternalName', externalName: 'example.com' } }), undefined);
});

test('UDP ports are left out, a named target port is left to the endpoints', () => {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
    { name: 'web', port: 80, targetPort: 'http' },
    { name: 'plain', port: 90 },
  ];
  assert.deepEqual(compiled({ spec: { ports } })?.ports, [
    { servicePort: 53, targetPort: 53, appProtocol: 'UNKNOWN' },
    { servicePort: 80, targetPort: 0, appProtocol: 'UNKNOWN' },
    { servicePort: 90, targetPort: 90, appProtocol: 'UNKNOWN' },
  ]);
});

test('the protocol of a port is its appProtocol, else the beginning of its name', () => {
  const protocol = (name: string, appProtocol?: string) =>
    compiled({ spec: { ports: [{ name, port: 80, ...(appProtocol && { appProtocol }) }] } })?.ports[0]
      ?.appProtocol;
  assert.equal(protocol('http'), 'HTTP11');
  assert.equal(protocol('http-web'), 'HTTP11');
  assert.equal(protocol('httpx'), 'UNKNOWN');
  assert.equal(protocol('http2-web'), 'HTTP2');
  assert.equal(protocol('grpc'), 'GRPC');
  assert.equal(protocol('grpc-web-x'), 'GRPC');
  assert.equal(protocol('tcp-db'), 'TCP');
  assert.equal(protocol('tls'), 'TLS');
  assert.equal(protocol('https'), 'TLS');
  assert.equal(protocol('http', 'kubernetes.io/h2c'), 'HTTP2');
  assert.equal(protocol('http', 'kubernetes.io/ws'), 'HTTP11');
  assert.equal(protocol('http', 'example.com/odd'), 'UNKNOWN');
  assert.equal(protocol('constructor'), 'UNKNOWN');
});

test('traffic that must stay on the node has no other endpoint', () => {
  const local = compiled({ spec: { internalTrafficPolicy: 'Local', trafficDistribution: 'PreferClose' } });
  assert.deepEqual(local?.loadBalancing, {
    routingPreference: ['NODE'],
    mode: 'STRICT',
    healthPolicy: 'ONLY_HEALTHY',
  });
});

test('trafficDistribution prefers endpoints near the client and falls back to others', () => {
  const scopes = (trafficDistribution: string) =>
    compiled({ spec: { trafficDistribution } })?.loadBalancing?.routingPreference.join();
  assert.equal(scopes('PreferClose'), 'NETWORK,REGION,ZONE');
  assert.equal(scopes('PreferSameZone'), 'NETWORK,REGION,ZONE');
  assert.equal(scopes('PreferSameNode'), 'NETWORK,REGION,ZONE,SUBZONE,NODE');
  assert.equal(scopes('Any'), undefined);
  assert.equal(compiled({ spec: { trafficDistribution: 'PreferClose' } })?.loadBalancing?.mode, 'FAILOVER');
});

test('the traffic distribution annotation counts on the Service, then on its namespace; the field counts first', () => {
  const key = 'networking.istio.io/traffic-distribution';
  const parent = make('Namespace', { name: 'shop', annotations: { [key]: 'PreferSameNode' } });
  const mode = (input: Partial<ServiceInput>) =>
    compileMesh([parent, service({ name: 'web', ...input })]).services[HOST]?.loadBalancing?.routingPreference
      .length;
  assert.equal(mode({}), 5);
  assert.equal(mode({ annotations: { [key]: 'PreferClose' } }), 3);
  assert.equal(mode({ annotations: { [key]: 'Any' } }), undefined);
  assert.equal(mode({ spec: { trafficDistribution: 'PreferClose' } }), 3);
});

test('publishNotReadyAddresses lets unhealthy endpoints take part', () => {
  assert.deepEqual(compiled({ spec: { publishNotReadyAddresses: true } })?.loadBalancing, {
    routingPreference: [],
    mode: 'UNSPECIFIED',
    healthPolicy: 'ALLOW_ALL',
  });
  assert.equal(compiled()?.loadBalancing, undefined);
});

test('exportTo limits who sees a Service, and a condition says how far', () => {
  const mesh = (exportTo: string) =>
    compileMesh([service({ name: 'web', annotations: { 'networking.istio.io/exportTo': exportTo } })]);
  assert.equal(mesh('.').services[HOST]?.visibility, 'NAMESPACE');
  assert.deepEqual(mesh('.').conditions('web'), ['istio.io/VisibilityApplied=True/Namespace']);
  assert.equal(mesh('shop').services[HOST]?.visibility, 'NAMESPACE');
  assert.equal(mesh('*').services[HOST]?.visibility, 'PUBLIC');
  assert.deepEqual(mesh('*').conditions('web'), ['istio.io/VisibilityApplied=True/Public']);
  assert.equal(mesh('~').services[HOST], undefined);
  assert.equal(mesh('bank,shop').services[HOST]?.visibility, 'PUBLIC');
  assert.deepEqual(mesh('bank,shop').conditions('web'), ['istio.io/VisibilityApplied=False/Public']);
  assert.match(mesh('bank,shop').message('web'), /bank, shop/);
});

test('ingress goes through the waypoint where the Service or its namespace says so', () => {
  const uses = (ofService?: string, ofNamespace?: string) => {
    const key = 'istio.io/ingress-use-waypoint';
    const labels = ofService === undefined ? {} : { [key]: ofService };
    const parent = namespace('shop', ofNamespace === undefined ? {} : { [key]: ofNamespace });
    return compileMesh([parent, service({ name: 'web', labels })]).services[HOST]?.ingressUseWaypoint;
  };
  assert.equal(uses(), false);
  assert.equal(uses('true'), true);
  assert.equal(uses(undefined, 'true'), true);
  assert.equal(uses('false', 'true'), false);
});
