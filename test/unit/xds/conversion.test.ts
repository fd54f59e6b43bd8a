import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import {
  authorizationResource,
  decodeAuthorization,
  encodeAuthorization,
} from '../../../src/xds/authorization-conversion.ts';
import * as security from '../../../src/xds/authorization-messages.ts';
import { ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL, applyUpdate } from '../../../src/xds/mesh-resources.ts';
import type { InitOf } from '../../../src/xds/message-schema.ts';
import {
  decodeAddress,
  encodeService,
  encodeWorkload,
  serviceResource,
  workloadResource,
} from '../../../src/xds/workload-conversion.ts';
import * as wire from '../../../src/xds/workload-messages.ts';
import { authorization, service, workload } from './mesh-arbitraries.ts';

const IP = Uint8Array.of(10, 0, 0, 1);

function workloadBytes(init: InitOf<typeof wire.Workload>): Uint8Array {
  return wire.Address.encode({ type: { kind: 'workload', value: { uid: 'u', ...init } } });
}

function serviceBytes(init: InitOf<typeof wire.Service>): Uint8Array {
  return wire.Address.encode({ type: { kind: 'service', value: { hostname: 'h', ...init } } });
}

test('a workload comes back from the wire as it was', () => {
  fc.assert(
    fc.property(workload, (value) => {
      assert.deepEqual(decodeAddress(encodeWorkload(value)), { kind: 'workload', workload: value });
    }),
  );
});

test('a service comes back from the wire as it was', () => {
  fc.assert(
    fc.property(service, (value) => {
      assert.deepEqual(decodeAddress(encodeService(value)), { kind: 'service', service: value });
    }),
  );
});

test('a policy comes back from the wire as it was', () => {
  fc.assert(
    fc.property(authorization, (value) => {
      assert.deepEqual(decodeAuthorization(encodeAuthorization(value)), value);
    }),
  );
});

test('empty fields of a workload mean what they mean to Istio', () => {
  const decoded = decodeAddress(workloadBytes({}));
  assert.ok(decoded.kind === 'workload');
  const { trustDomain, serviceAccount, clusterId, capacity, tunnelProtocol, status } = decoded.workload;
  assert.deepEqual(
    { trustDomain, serviceAccount, clusterId, capacity, tunnelProtocol, status },
    {
      trustDomain: 'cluster.local',
      serviceAccount: 'default',
      clusterId: 'Kubernetes',
      capacity: 1,
      tunnelProtocol: 'NONE',
      status: 'HEALTHY',
    },
  );
});

test('a capacity of zero is not the default', () => {
  const decoded = decodeAddress(workloadBytes({ capacity: { value: 0 } }));
  assert.ok(decoded.kind === 'workload');
  assert.equal(decoded.workload.capacity, 0);
});

test('a workload or service that cannot be used is refused with the reason', () => {
  const port = { servicePort: 70_000, targetPort: 1 };
  const refused: readonly (readonly [Uint8Array, RegExp])[] = [
    [wire.Address.encode({}), /neither a workload nor a service/],
    [workloadBytes({ uid: '' }), /without a uid/],
    [workloadBytes({ tunnelProtocol: 2 }), /LEGACY_ISTIO_MTLS is not supported/],
    [workloadBytes({ tunnelProtocol: 9 }), /tunnel_protocol 9 is not known/],
    [workloadBytes({ addresses: [IP, new Uint8Array(5)] }), /address of 5 bytes/],
    [workloadBytes({ waypoint: {} }), /waypoint names no destination/],
    [workloadBytes({ networkGateway: { hboneMtlsPort: 65_536 } }), /65536 is not a port/],
    [workloadBytes({ services: new Map([['web', {}]]) }), /"web" is not <namespace>\/<hostname>/],
    [workloadBytes({ services: new Map([['a/web', { ports: [port] }]]) }), /service_port 70000/],
    [serviceBytes({ hostname: '' }), /without a hostname/],
    [serviceBytes({ addresses: [{ address: IP, length: 33 }] }), /longer than the address/],
    [serviceBytes({ addresses: [{ address: new Uint8Array(0) }] }), /0 bytes/],
    [serviceBytes({ loadBalancing: { mode: 9 } }), /load_balancing.mode 9/],
    [serviceBytes({ loadBalancing: { routingPreference: [0] } }), /UNSPECIFIED_SCOPE/],
    [serviceBytes({ weightedWaypoints: [{ weight: 1 }] }), /names no destination/],
    [serviceBytes({ visibility: 5 }), /visibility 5/],
  ];
  for (const [bytes, message] of refused) {
    assert.throws(() => decodeAddress(bytes), { code: 'AMBIT_RESOURCE_INVALID', message });
  }
});

test('a newer name for the kind of workload or of application protocol does no harm', () => {
  const decoded = decodeAddress(workloadBytes({ workloadType: 9 }));
  assert.ok(decoded.kind === 'workload' && decoded.workload.workloadType === 'DEPLOYMENT');
  const port = { servicePort: 1, targetPort: 1, appProtocol: 9 };
  const other = decodeAddress(serviceBytes({ ports: [port] }));
  assert.ok(other.kind === 'service' && other.service.ports[0]!.appProtocol === 'UNKNOWN');
});

test('a block as long as its address is a single address', () => {
  const decoded = decodeAddress(serviceBytes({ addresses: [{ address: IP, length: 32 }] }));
  assert.ok(decoded.kind === 'service');
  assert.deepEqual(decoded.service.addresses, [{ network: '', ip: '10.0.0.1' }]);
});

test('a policy is refused whole rather than read without one of its conditions', () => {
  const policy = (match: InitOf<typeof security.Match>): Uint8Array =>
    security.Authorization.encode({ name: 'p', rules: [{ clauses: [{ matches: [match] }] }] });
  const refused: readonly (readonly [Uint8Array, RegExp])[] = [
    [security.Authorization.encode({}), /without a name/],
    [security.Authorization.encode({ name: 'p', action: 2 }), /action 2/],
    [security.Authorization.encode({ name: 'p', scope: 3 }), /scope 3/],
    [policy({ principals: [{}] }), /of no kind/],
    [policy({ sourceIps: [{ address: new Uint8Array(3), length: 8 }] }), /3 bytes/],
    [policy({ sourceIps: [{ address: IP, length: 33 }] }), /prefix of 33 bits/],
    [policy({ destinationPorts: [65_536] }), /65536 is not a port/],
  ];
  for (const [bytes, message] of refused) {
    assert.throws(() => decodeAuthorization(bytes), { code: 'AMBIT_RESOURCE_INVALID', message });
  }
});

test('an IPv4 block written as IPv6 matches IPv4 addresses', () => {
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0);
  const bytes = security.Authorization.encode({
    name: 'p',
    rules: [{ clauses: [{ matches: [{ sourceIps: [{ address: mapped, length: 104 }] }] }] }],
  });
  const [block] = decodeAuthorization(bytes).rules[0]!.clauses[0]!.matches[0]!.sourceIps;
  assert.equal(String(block), '10.0.0.0/8');
});

test('resources are named as Istio names them, and known by their addresses as well', () => {
  fc.assert(
    fc.property(workload, service, authorization, (one, other, policy) => {
      const own = workloadResource(one);
      assert.equal(own.name, one.uid);
      const shared = one.networkMode === 'HOST_NETWORK';
      assert.deepEqual(own.aliases, shared ? [] : one.addresses.map((ip) => `${one.network}/${ip}`));
      assert.equal(serviceResource(other).name, `${other.namespace}/${other.hostname}`);
      assert.equal(authorizationResource(policy).name, `${policy.namespace}/${policy.name}`);
    }),
  );
});

test('an extension does not hold on to the push that it came in', () => {
  const push = Buffer.concat([
    workloadBytes({ extensions: [{ name: 'x', config: { typeUrl: 't', value: IP } }] }),
    Buffer.alloc(0),
  ]);
  const decoded = decodeAddress(push);
  assert.ok(decoded.kind === 'workload');
  assert.equal(decoded.workload.extensions[0]!.value.buffer.byteLength, IP.length);
});

test('of a push the good resources are applied and the bad ones named', () => {
  const state = new MeshState();
  const resources = [
    { name: 'good', bytes: workloadBytes({ uid: 'good', addresses: [IP] }) },
    { name: 'bad', bytes: workloadBytes({ uid: 'bad', tunnelProtocol: 2 }) },
    { name: 'noise', bytes: Uint8Array.of(1, 2, 3) },
    { name: 'ns/h', bytes: serviceBytes({ namespace: 'ns' }) },
  ];
  const rejected = applyUpdate(state, { typeUrl: ADDRESS_TYPE_URL, resources, removed: [] });
  assert.deepEqual(
    rejected.map((one) => one.name),
    ['bad', 'noise'],
  );
  assert.deepEqual([state.workloadCount, state.serviceCount], [1, 1]);
  applyUpdate(state, { typeUrl: ADDRESS_TYPE_URL, resources: [], removed: ['good', 'ns/h', 'never'] });
  assert.deepEqual([state.workloadCount, state.serviceCount], [0, 0]);
  const policy = security.Authorization.encode({ name: 'p', namespace: 'ns' });
  const policies = [{ name: 'ns/p', bytes: policy }];
  applyUpdate(state, { typeUrl: AUTHORIZATION_TYPE_URL, resources: policies, removed: [] });
  assert.equal(state.authorizationCount, 1);
});
