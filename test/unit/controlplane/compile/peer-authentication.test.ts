/** PeerAuthentication: which policies workloads name for it, and that those mean what was written. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IpAddress } from '../../../../src/base/ip.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../../../src/controlplane/compile/compile-options.ts';
import { staticStrictPolicy } from '../../../../src/controlplane/compile/peer-authentication.ts';
import { authorizationName } from '../../../../src/mesh/authorization.ts';
import { CompiledPolicy } from '../../../../src/mesh/compiled-policy.ts';
import { PolicySubject, policySourceOf } from '../../../../src/mesh/policy-subject.ts';
import type { MutualTlsMode, PeerAuthentication } from '../../../../src/objects/istio-types.ts';
import { compileMesh } from '../../../support/compile-mesh.ts';
import { LinearLookup } from '../../../support/linear-lookup.ts';
import { type MetaInput, make, pod } from '../../../support/mesh-objects.ts';

const STRICT = 'istio-system/istio_converted_static_strict';

interface Input extends Partial<MetaInput> {
  readonly mode?: MutualTlsMode | undefined;
  readonly app?: string | undefined;
  readonly ports?: Readonly<Record<string, MutualTlsMode>> | undefined;
}

function peer({ mode, app, ports, ...metadata }: Input): PeerAuthentication {
  return make(
    'PeerAuthentication',
    { name: 'pa', ...metadata },
    {
      spec: {
        ...(mode && { mtls: { mode } }),
        ...(app && { selector: { matchLabels: { app } } }),
        ...(ports && {
          portLevelMtls: Object.fromEntries(
            Object.entries(ports).map(([port, one]) => [port, { mode: one }]),
          ),
        }),
      },
    },
  );
}

function policiesOf(...policies: readonly PeerAuthentication[]) {
  return compileMesh([pod({ name: 'web', labels: { app: 'web' } }), ...policies]).workloads.web
    ?.authorizationPolicies;
}

const mesh = (mode: MutualTlsMode, extra: Input = {}) =>
  peer({ name: 'mesh', namespace: 'istio-system', mode, ...extra });
const ns = (mode: MutualTlsMode, extra: Input = {}) => peer({ name: 'ns', mode, ...extra });
const own = (mode: MutualTlsMode | undefined, extra: Input = {}) =>
  peer({ name: 'own', app: 'web', mode, ...extra });

test('strict is asked for by a static policy that denies whoever shows no identity', () => {
  const context = {
    options: { ...DEFAULT_COMPILE_OPTIONS, rootNamespace: 'ambit-system' },
    objects: new LinearLookup([]),
  };
  const policy = staticStrictPolicy(context);
  assert.equal(authorizationName(policy), 'ambit-system/istio_converted_static_strict');
  assert.deepEqual([policy.scope, policy.action, policy.dryRun], ['WORKLOAD_SELECTOR', 'DENY', false]);
  const matches = (identified: boolean) =>
    new CompiledPolicy(policy).matches(
      new PolicySubject({
        source: identified
          ? policySourceOf({ trustDomain: 'x', namespace: 'a', serviceAccount: 'b' })
          : undefined,
        sourceIp: '10.0.0.1' as IpAddress,
        destinationIp: '10.0.0.2' as IpAddress,
        destinationPort: 80,
      }),
    );
  assert.deepEqual([matches(false), matches(true)], [true, false]);
});

test('the mode of the mesh is overridden by that of the namespace, that by the one of the workload', () => {
  assert.deepEqual(policiesOf(), []);
  assert.deepEqual(policiesOf(mesh('STRICT')), [STRICT]);
  assert.deepEqual(policiesOf(mesh('STRICT'), ns('PERMISSIVE')), []);
  assert.deepEqual(policiesOf(mesh('PERMISSIVE'), ns('STRICT')), [STRICT]);
  assert.deepEqual(policiesOf(mesh('STRICT'), ns('STRICT'), own('PERMISSIVE')), []);
  assert.deepEqual(policiesOf(own('STRICT')), [STRICT]);
});

test('UNSET inherits, DISABLE is the same as PERMISSIVE', () => {
  assert.deepEqual(policiesOf(mesh('STRICT'), ns('UNSET'), own(undefined)), [STRICT]);
  assert.deepEqual(policiesOf(mesh('STRICT'), ns('DISABLE')), []);
  assert.deepEqual(compileMesh([ns('DISABLE')]).conditions('ns'), ['ZtunnelAccepted=False/UnsupportedValue']);
});

test('selectors must select, in the own namespace', () => {
  assert.deepEqual(policiesOf(own('STRICT', { app: 'db' })), []);
  assert.deepEqual(policiesOf(own('STRICT', { namespace: 'bank' })), []);
  assert.deepEqual(
    policiesOf(own('STRICT', { namespace: 'istio-system' })),
    [],
    'the root namespace selects its own workloads only',
  );
});

test('of several policies for the same workloads the oldest counts, and the others are told so', () => {
  const old = { creationTimestamp: '2026-01-01T00:00:00Z' };
  const young = { creationTimestamp: '2026-02-01T00:00:00Z' };
  const both = [ns('PERMISSIVE', { ...young, name: 'a' }), ns('STRICT', { ...old, name: 'b' })];
  assert.deepEqual(policiesOf(...both), [STRICT]);
  assert.deepEqual(compileMesh(both).conditions('a'), ['ZtunnelAccepted=False/Conflicted']);
  assert.deepEqual(compileMesh(both).conditions('b'), ['ZtunnelAccepted=True/Accepted']);
  assert.deepEqual(
    policiesOf(own('STRICT', { ...young, name: 'a' }), own('PERMISSIVE', { ...old, name: 'b' })),
    [],
  );
});

test('ports that are treated in another way make a policy of their own', () => {
  const name = ['shop/converted_peer_authentication_own'];
  assert.deepEqual(policiesOf(own('STRICT', { ports: { 80: 'PERMISSIVE' } })), name);
  assert.deepEqual(policiesOf(own('PERMISSIVE', { ports: { 80: 'STRICT' } })), name);
  assert.deepEqual(policiesOf(mesh('STRICT'), own(undefined, { ports: { 80: 'DISABLE' } })), name);
  assert.deepEqual(policiesOf(own('STRICT', { ports: { 80: 'STRICT' } })), [STRICT]);
  assert.deepEqual(policiesOf(own('PERMISSIVE', { ports: { 80: 'DISABLE' } })), []);
  assert.deepEqual(policiesOf(own('STRICT', { ports: { 80: 'UNSET' } })), [STRICT]);
});

test('portLevelMtls without a selector is ignored, which is reported; so are keys that are no port', () => {
  const wide = ns('PERMISSIVE', { ports: { 80: 'STRICT' } });
  assert.deepEqual(policiesOf(wide), []);
  assert.deepEqual(compileMesh([wide]).conditions('ns'), ['ZtunnelAccepted=False/UnsupportedValue']);
  const odd = own('STRICT', { ports: { http: 'PERMISSIVE', 70000: 'PERMISSIVE' } });
  assert.deepEqual(policiesOf(odd), [STRICT]);
  assert.deepEqual(compileMesh([odd]).conditions('own'), ['ZtunnelAccepted=False/PartiallyInvalid']);
});

const mode = fc.constantFrom<MutualTlsMode[]>('UNSET', 'STRICT', 'PERMISSIVE', 'DISABLE');
const ports = fc.dictionary(fc.constantFrom('80', '81', '82', '83'), mode);

test('plaintext is denied on exactly the ports whose mode is strict, whatever is inherited', () => {
  const effective = (one: MutualTlsMode | undefined, inherited: boolean) =>
    one === undefined || one === 'UNSET' ? inherited : one === 'STRICT';
  fc.assert(
    fc.property(
      mode,
      mode,
      mode,
      ports,
      fc.constantFrom(80, 81, 82, 83, 84),
      (ofMesh, ofNs, ofOwn, levels, port) => {
        const objects = [
          mesh(ofMesh),
          ns(ofNs),
          own(ofOwn, { ports: levels }),
          pod({ name: 'web', labels: { app: 'web' } }),
        ];
        const result = compileMesh(objects);
        const strict = staticStrictPolicy({
          options: DEFAULT_COMPILE_OPTIONS,
          objects: new LinearLookup([]),
        });
        const known = new Map(
          [...Object.values(result.authorizations), strict].map((one) => [authorizationName(one), one]),
        );
        const subject = new PolicySubject({
          sourceIp: '10.0.0.1' as IpAddress,
          destinationIp: '10.0.0.2' as IpAddress,
          destinationPort: port,
        });
        const denied = result.workloads.web!.authorizationPolicies.some((name) =>
          new CompiledPolicy(known.get(name)!).matches(subject),
        );
        const base = effective(ofOwn, effective(ofNs, effective(ofMesh, false)));
        assert.equal(denied, effective(levels[String(port)], base));
      },
    ),
    { numRuns: 2000 },
  );
});
