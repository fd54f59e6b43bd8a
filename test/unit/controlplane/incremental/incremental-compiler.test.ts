/** Compiling changes one by one gives the same mesh as compiling everything at once, with far less work. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileObject, type MeshResource } from '../../../../src/controlplane/compile/compile-object.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../../../src/controlplane/compile/compile-options.ts';
import { IncrementalCompiler } from '../../../../src/controlplane/incremental/incremental-compiler.ts';
import type { MeshObject } from '../../../../src/objects/kinds.ts';
import { type ObjectChange, objectKey, referenceOf } from '../../../../src/objects/object-source.ts';
import { LinearLookup } from '../../../support/linear-lookup.ts';
import { additions, make, namespace, pod, service, waypoint } from '../../../support/mesh-objects.ts';

/** Few names, so that objects meet. */
const NAMESPACES = ['shop', 'istio-system'] as const;
const NAMES = ['a', 'b'] as const;

const nsName = fc.constantFrom(...NAMESPACES);
const name = fc.constantFrom(...NAMES);
const ip = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', 'fd00::1', '');
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const appLabels = fc.record(
  { app: fc.constantFrom('x', 'y'), tier: fc.constantFrom('1', '2') },
  { requiredKeys: [] },
);
const meshLabels = fc.record(
  {
    'istio.io/use-waypoint': fc.constantFrom('a', 'a', 'a', 'none'),
    'istio.io/use-waypoint-namespace': nsName,
    'topology.istio.io/network': fc.constantFrom('n1', 'n2'),
    'istio.io/ingress-use-waypoint': fc.constantFrom('true', 'false'),
    'gateway.networking.k8s.io/gateway-name': name,
  },
  { requiredKeys: [] },
);
const labels = fc.tuple(appLabels, optional(meshLabels)).map(([a, b]) => ({ ...a, ...b }));
const created = optional(fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'));
const identity = fc
  .record({ name, namespace: nsName, labels, created })
  .map(({ created: creationTimestamp, ...rest }) => ({
    ...rest,
    ...(creationTimestamp && { creationTimestamp }),
  }));
const selector = fc.record(
  { app: fc.constantFrom('x', 'y'), tier: fc.constantFrom('1', '2') },
  { requiredKeys: [] },
);

const anyPod = fc
  .record({
    meta: identity,
    ip,
    ready: fc.boolean(),
    enrolled: fc.boolean(),
    node: optional(name),
    ports: fc.record({ http: fc.constantFrom(8080, 9090) }, { requiredKeys: [] }),
  })
  .map(({ meta, node, ...rest }) => pod({ ...meta, ...rest, ...(node === undefined ? {} : { node }) }));

const anyService = fc
  .record({
    meta: identity,
    ip: fc.constantFrom('10.96.0.1', '10.96.0.2', 'None'),
    selector,
    type: fc.constantFrom('ClusterIP', 'ExternalName'),
    targetPort: fc.constantFrom<(string | number)[]>(8080, 'http', 'other'),
    exportTo: optional(fc.constantFrom('.', '*', '~')),
  })
  .map(({ meta, ip: address, selector: chosen, type, targetPort, exportTo }) =>
    service({
      ...meta,
      ...(exportTo === undefined ? {} : { annotations: { 'networking.istio.io/exportTo': exportTo } }),
      ip: address,
      selector: chosen,
      spec: { type, ports: [{ name: 'http', port: 80, targetPort }] },
    }),
  );

const anySlice = fc
  .record({
    meta: identity,
    service: name,
    endpoints: fc.array(
      fc.record({
        ip: fc.constantFrom('10.0.0.1', '10.0.0.2', '10.1.1.1'),
        pod: optional(name),
        ready: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ meta, service: serviceName, endpoints }) =>
    make(
      'EndpointSlice',
      { ...meta, labels: { 'kubernetes.io/service-name': serviceName } },
      {
        addressType: 'IPv4',
        ports: [{ name: 'http', port: 8080 }],
        endpoints: endpoints.map((one) => ({
          addresses: [one.ip],
          conditions: { ready: one.ready },
          ...(one.pod === undefined ? {} : { targetRef: { kind: 'Pod', name: one.pod } }),
        })),
      },
    ),
  );

const host = fc.constantFrom('x.example.com', 'y.example.com', '*.example.com', 'a.shop.svc.cluster.local');
const anyServiceEntry = fc
  .record({
    meta: identity,
    hosts: fc.uniqueArray(host, { minLength: 1 }),
    resolution: fc.constantFrom<('NONE' | 'STATIC' | 'DNS')[]>('NONE', 'STATIC', 'DNS'),
    endpoints: optional(
      fc.array(fc.record({ address: fc.constantFrom('1.1.1.1', 'z.example.com') }), { maxLength: 2 }),
    ),
    selector: optional(selector),
    addresses: optional(fc.constant(['198.51.100.0/24', '192.0.2.1'])),
    allocated: optional(fc.constant([{ value: '240.240.0.1' }])),
    exportTo: optional(fc.constantFrom(['.'], ['*'], ['~'], ['istio-system'])),
  })
  .map(({ meta, selector: chosen, allocated, endpoints, addresses, exportTo, ...spec }) =>
    make('ServiceEntry', meta, {
      spec: {
        ...spec,
        ports: [{ number: 443, name: 'http', protocol: 'TLS' }],
        ...(endpoints && { endpoints }),
        ...(addresses && { addresses }),
        ...(exportTo && { exportTo }),
        ...(chosen && { workloadSelector: { labels: chosen } }),
      },
      ...(allocated && { status: { addresses: allocated } }),
    }),
  );

const anyWorkloadEntry = fc
  .record({
    meta: identity,
    address: fc.constantFrom('1.1.1.1', 'vm.example.com', 'unix:///x'),
    labels: appLabels,
  })
  .map(({ meta, ...spec }) => make('WorkloadEntry', meta, { spec }));

const anyPolicy = fc
  .record({
    meta: identity,
    selector: optional(selector),
    action: fc.constantFrom<('ALLOW' | 'DENY' | 'CUSTOM')[]>('ALLOW', 'DENY', 'CUSTOM'),
    target: optional(name),
  })
  .map(({ meta, selector: chosen, action, target }) =>
    make('AuthorizationPolicy', meta, {
      spec: {
        action,
        ...(chosen && { selector: { matchLabels: chosen } }),
        ...(target && { targetRefs: [{ kind: 'Service', name: target }] }),
        rules: [{ to: [{ operation: { ports: ['80'] } }] }],
      },
    }),
  );

const mode = fc.constantFrom<('UNSET' | 'STRICT' | 'PERMISSIVE' | 'DISABLE')[]>(
  'UNSET',
  'STRICT',
  'PERMISSIVE',
  'DISABLE',
);
const anyPeerAuthentication = fc
  .record({
    meta: identity,
    selector: optional(selector),
    mode,
    ports: optional(fc.dictionary(fc.constantFrom('80', '81'), mode)),
  })
  .map(({ meta, selector: chosen, mode: mtls, ports }) =>
    make('PeerAuthentication', meta, {
      spec: {
        mtls: { mode: mtls },
        ...(chosen && { selector: { matchLabels: chosen } }),
        ...(ports && {
          portLevelMtls: Object.fromEntries(
            Object.entries(ports).map(([port, one]) => [port, { mode: one }]),
          ),
        }),
      },
    }),
  );

const anyGateway = fc
  .record({
    meta: identity,
    ip: fc.constantFrom('10.0.9.9', ''),
    from: optional(fc.constantFrom<('All' | 'Same' | 'Selector')[]>('All', 'Same', 'Selector')),
    waypointFor: optional(fc.constantFrom('service', 'workload', 'all', 'none')),
  })
  .map(({ meta, waypointFor, from, ...rest }) =>
    waypoint({
      ...meta,
      ...rest,
      ...(from && { from, selector: { open: 'yes' } }),
      labels: { ...meta.labels, ...(waypointFor && { 'istio.io/waypoint-for': waypointFor }) },
    }),
  );

const anyNamespace = fc
  .record({
    name: nsName,
    labels: meshLabels,
    open: fc.boolean(),
    distribution: optional(fc.constant('PreferClose')),
  })
  .map(({ name: own, labels: given, open, distribution }) =>
    make('Namespace', {
      name: own,
      labels: { ...given, ...(open && { open: 'yes' }) },
      ...(distribution && { annotations: { 'networking.istio.io/traffic-distribution': distribution } }),
    }),
  );

const anyNode = fc
  .record({ name, zone: optional(name), address: fc.constantFrom('10.1.1.1', '10.1.1.2') })
  .map(({ name: own, zone, address }) =>
    make(
      'Node',
      { name: own, labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone } },
      { status: { addresses: [{ type: 'InternalIP', address }] } },
    ),
  );

const anyGatewayClass = fc
  .record({ traffic: fc.constantFrom('all', 'workload', 'service') })
  .map(({ traffic }) =>
    make(
      'GatewayClass',
      { name: 'istio-waypoint', labels: { 'istio.io/waypoint-for': traffic } },
      { spec: { controllerName: 'x' } },
    ),
  );

const anyObject: fc.Arbitrary<MeshObject> = fc.oneof(
  { arbitrary: anyPod, weight: 4 },
  { arbitrary: anyService, weight: 3 },
  anySlice,
  { arbitrary: anyServiceEntry, weight: 2 },
  anyWorkloadEntry,
  { arbitrary: anyPolicy, weight: 2 },
  { arbitrary: anyPeerAuthentication, weight: 2 },
  { arbitrary: anyGateway, weight: 2 },
  anyNamespace,
  anyNode,
  anyGatewayClass,
);

/** Put an object in place, remove the one of its name, or give one of its kind a single part of it. */
interface Edit {
  readonly object: MeshObject;
  readonly action: 'put' | 'remove' | 'graft';
  readonly which: number;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  object: anyObject,
  action: fc.constantFrom('put', 'put', 'remove', 'graft', 'graft', 'graft', 'graft', 'graft'),
  which: fc.nat({ max: 1000 }),
});
const edits: fc.Arbitrary<readonly (readonly Edit[])[]> = fc
  .tuple(
    fc.array(anyObject, { minLength: 30, maxLength: 60, size: 'max' }),
    fc.array(fc.array(edit, { minLength: 1, maxLength: 3 }), { minLength: 5, maxLength: 20, size: 'max' }),
  )
  .map(([first, rest]) => [first.map((object): Edit => ({ object, action: 'put', which: 0 })), ...rest]);

/** What a listener of a source would be told. */
function changesOf(world: Map<string, MeshObject>, batch: readonly Edit[]): ObjectChange[] {
  return batch.flatMap(({ object: given, action, which }): ObjectChange[] => {
    const object = action === 'graft' ? graft(world, given, which) : given;
    const key = objectKey(referenceOf(object));
    const previous = world.get(key);
    if (action === 'remove') {
      world.delete(key);
      return previous === undefined ? [] : [{ type: 'delete', object: previous, previous }];
    }
    world.set(key, object);
    return [{ type: 'upsert', object, ...(previous && { previous }) }];
  });
}

type Part = Record<string, unknown> | undefined;

function graft(world: ReadonlyMap<string, MeshObject>, donor: MeshObject, which: number): MeshObject {
  const victims = [...world.values()].filter((one) => one.kind === donor.kind);
  const victim = victims[which % Math.max(1, victims.length)];
  if (victim === undefined) return donor;
  const places = (['metadata', 'spec', 'status'] as const).flatMap((section) => {
    const [mine, theirs] = [section in victim, section in donor].map(
      (there, at) => (there ? (at === 0 ? victim : donor)[section as 'metadata'] : {}) as unknown as Part,
    );
    const keys = new Set([...Object.keys(mine ?? {}), ...Object.keys(theirs ?? {})]);
    return [...keys]
      .filter((key) => !['name', 'namespace', 'uid'].includes(key))
      .map((key) => ({ ...victim, [section]: { ...mine, [key]: theirs?.[key] } }));
  });
  const whole = 'endpoints' in donor ? [{ ...victim, endpoints: donor.endpoints }] : [];
  const choices = [...places, ...whole];
  return choices[which % choices.length] as MeshObject;
}

function sorted(resources: Iterable<MeshResource>): MeshResource[] {
  return [...resources].sort((a, b) => (`${a.kind}${a.name}` < `${b.kind}${b.name}` ? -1 : 1));
}

test('after any sequence of edits the mesh is the one that compiling everything at once gives', () => {
  fc.assert(
    fc.property(edits, (batches) => {
      const compiler = new IncrementalCompiler(DEFAULT_COMPILE_OPTIONS);
      const strict = [...compiler.resources()];
      const world = new Map<string, MeshObject>();
      const told = new Map(strict.map((one) => [`${one.kind}${one.name}`, one]));
      for (const batch of batches) {
        const { upserted, removed } = compiler.apply(changesOf(world, batch));
        for (const one of removed)
          assert.ok(told.delete(`${one.kind}${one.name}`), `${one.name} was never told`);
        for (const one of upserted) told.set(`${one.kind}${one.name}`, one);
      }
      const objects = [...world.values()];
      const context = { options: DEFAULT_COMPILE_OPTIONS, objects: new LinearLookup(objects) };
      const compiled = objects.map((object) => compileObject(context, object));
      const expected = sorted([...strict, ...compiled.flatMap((one) => one.resources)]);
      assert.deepEqual(sorted(compiler.resources()), expected);
      assert.deepEqual(sorted(told.values()), expected);
      assert.equal(
        new Set(expected.map((one) => one.kind + one.name)).size,
        expected.length,
        'every name once',
      );
      for (const [at, object] of objects.entries()) {
        assert.deepEqual(compiler.conditionsOf(objectKey(referenceOf(object))), compiled[at]!.conditions);
      }
    }),
    { numRuns: 400 },
  );
});

test('telling the same objects again changes nothing', () => {
  fc.assert(
    fc.property(fc.array(anyObject, { maxLength: 15 }), (objects) => {
      const compiler = new IncrementalCompiler(DEFAULT_COMPILE_OPTIONS);
      const unique = new Map(objects.map((object) => [objectKey(referenceOf(object)), object]));
      compiler.apply(additions([...unique.values()]));
      const again = compiler.apply(additions([...unique.values()].map((object) => structuredClone(object))));
      assert.deepEqual([again.upserted, again.removed], [[], []]);
    }),
    { numRuns: 200 },
  );
});

test('a change compiles again only what looked at it', () => {
  const compiler = new IncrementalCompiler(DEFAULT_COMPILE_OPTIONS);
  const pods = Array.from({ length: 100 }, (_, i) =>
    pod({ name: `p${i}`, ip: `10.0.1.${i}`, labels: { app: `app${i % 10}` }, node: `node${i % 5}` }),
  );
  const services = Array.from({ length: 10 }, (_, i) =>
    service({ name: `s${i}`, selector: { app: `app${i}` } }),
  );
  const node = make('Node', { name: 'node0', labels: { 'topology.kubernetes.io/zone': 'z1' } });
  compiler.apply(additions([namespace('shop'), node, ...pods, ...services]));
  const compiledBy = (object: MeshObject) => compiler.apply([{ type: 'upsert', object }]).compiled.length;
  assert.equal(compiledBy(pod({ name: 'p0', ip: '10.0.1.0', labels: { app: 'app0' }, ready: false })), 1);
  assert.equal(
    compiledBy(service({ name: 's3', selector: { app: 'app3' }, spec: { ports: [{ port: 81 }] } })),
    11,
  );
  const heartbeat = make('Node', node.metadata, {
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  assert.equal(compiledBy(heartbeat), 1, 'a heartbeat of a node concerns no pod');
  const moved = make('Node', { ...node.metadata, labels: { 'topology.kubernetes.io/zone': 'z2' } });
  assert.equal(compiledBy(moved), 20, 'p0 has left the node');
  const status = service({ name: 's3', selector: { app: 'app3' }, spec: { ports: [{ port: 81 }] } });
  assert.equal(
    compiledBy({ ...status, status: { conditions: [] } }),
    1,
    'the status of a service concerns no pod',
  );
});

test('a readiness change in a large EndpointSlice compiles no pod again', () => {
  const compiler = new IncrementalCompiler(DEFAULT_COMPILE_OPTIONS);
  const pods = Array.from({ length: 50 }, (_, i) =>
    pod({ name: `p${i}`, ip: `10.0.1.${i}`, labels: { app: 'web' } }),
  );
  const slice = (ready: number) =>
    make(
      'EndpointSlice',
      { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      {
        addressType: 'IPv4',
        ports: [{ name: 'http', port: 8080 }],
        endpoints: pods.map(({ metadata, status }, i) => ({
          addresses: [status!.podIP!],
          conditions: { ready: i < ready },
          targetRef: { kind: 'Pod', name: metadata.name },
        })),
      },
    );
  compiler.apply(additions([...pods, service({ name: 'web' }), slice(50)]));
  const backing = () =>
    [...compiler.resources()].filter((one) => one.kind === 'workload' && one.value.services.size > 0).length;
  assert.equal(backing(), 50);
  assert.equal(compiler.apply([{ type: 'upsert', object: slice(10) }]).compiled.length, 1);
  const shorter = slice(50);
  const fewer = { ...shorter, endpoints: shorter.endpoints!.slice(1) };
  assert.equal(compiler.apply([{ type: 'upsert', object: fewer }]).compiled.length, 2);
  assert.equal(backing(), 49, 'a pod that is in no slice of the service does not back it');
});

test('an object that cannot be compiled keeps what it was, and harms no other', () => {
  const compiler = new IncrementalCompiler(DEFAULT_COMPILE_OPTIONS);
  const good = pod({ name: 'a', ip: '10.0.0.1' });
  compiler.apply(additions([good]));
  const bad = { ...good, status: { podIP: '10.0.0.9', podIPs: 5 } } as unknown as MeshObject;
  const { upserted } = compiler.apply(additions([bad, pod({ name: 'b', ip: '10.0.0.2' })]));
  assert.deepEqual(
    upserted.map((one) => one.name),
    ['Kubernetes//Pod/shop/b'],
  );
  assert.equal(compiler.count('workload'), 2);
  compiler.apply(additions([pod({ name: 'a', ip: '10.0.0.3' })]));
  const again = [...compiler.resources()].find((one) => one.name === 'Kubernetes//Pod/shop/a');
  assert.deepEqual(again?.kind === 'workload' && again.value.addresses, ['10.0.0.3']);
});
