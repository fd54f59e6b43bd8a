/** Addresses for hosts that have none: stable, unique, of both families, and never somebody else's. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../../src/base/ip.ts';
import { planAddresses } from '../../../../src/controlplane/allocation/address-allocation.ts';
import { AddressPool } from '../../../../src/controlplane/allocation/address-pool.ts';
import type {
  ServiceEntry,
  ServiceEntryAddress,
  ServiceEntrySpec,
} from '../../../../src/objects/istio-types.ts';
import { make } from '../../../support/mesh-objects.ts';

function entry(
  name: string,
  spec: Partial<ServiceEntrySpec> = {},
  addresses?: readonly ServiceEntryAddress[],
  extra: { labels?: Record<string, string>; creationTimestamp?: string } = {},
): ServiceEntry {
  return make(
    'ServiceEntry',
    { name, ...extra },
    {
      spec: { hosts: [`${name}.example.com`], resolution: 'DNS', ...spec },
      ...(addresses && { status: { addresses } }),
    },
  );
}

function valuesOf(entries: readonly ServiceEntry[]): Record<string, readonly string[] | null> {
  return Object.fromEntries(
    planAddresses(entries).map((one) => [
      one.entry.metadata.name,
      one.addresses?.map((each) => each.value) ?? null,
    ]),
  );
}

test('every host gets an IPv4 and an IPv6 address of the mesh', () => {
  const [plan] = planAddresses([entry('a', { hosts: ['x.example.com', 'y.example.com'] })]);
  assert.deepEqual(
    plan?.addresses?.map((one) => one.host),
    ['x.example.com', 'x.example.com', 'y.example.com', 'y.example.com'],
  );
  for (const { value } of plan?.addresses ?? [])
    assert.match(value, /^(240\.240\.\d+\.\d+|2001:2::[0-9a-f]+)$/);
});

test('the same entry gets the same addresses after everything was forgotten', () => {
  assert.deepEqual(valuesOf([entry('a'), entry('b')]), valuesOf([entry('b'), entry('a')]));
  assert.deepEqual(valuesOf([entry('a')]).a, valuesOf([entry('a'), entry('b')]).a);
});

test('what is in the status already stays, also when it came from another control plane', () => {
  const own = [
    { value: '240.240.7.7', host: 'a.example.com' },
    { value: '2001:2::f0f0:0:7', host: 'a.example.com' },
  ];
  assert.deepEqual(valuesOf([entry('a', {}, own)]), {});
  const half = valuesOf([entry('a', {}, own.slice(0, 1))]).a;
  assert.equal(half?.[0], '240.240.7.7');
  assert.equal(half?.length, 2);
});

test('entries with addresses, without resolution, with wildcards or opted out get none', () => {
  const plans = valuesOf([
    entry('given', { addresses: ['192.0.2.1'] }),
    entry('none', { resolution: 'NONE' }),
    entry('wildcard', { hosts: ['*.example.com'] }),
    entry('out', {}, undefined, { labels: { 'networking.istio.io/enable-autoallocate-ip': 'False' } }),
  ]);
  assert.deepEqual(plans, {});
  const dynamic = planAddresses([entry('dyn', { hosts: ['*.example.com'], resolution: 'DYNAMIC_DNS' })]);
  assert.equal(dynamic[0]?.addresses?.length, 2);
});

test('addresses that are no longer wanted are taken away', () => {
  const present = [{ value: '240.240.7.7', host: 'a.example.com' }];
  assert.deepEqual(valuesOf([entry('a', { resolution: 'NONE' }, present)]), { a: null });
  const renamed = planAddresses([entry('a', { hosts: ['new.example.com'] }, present)])[0]?.addresses;
  assert.deepEqual(
    renamed?.map((one) => one.host),
    ['new.example.com', 'new.example.com'],
  );
});

test("of two entries with the same address the older one keeps it; written addresses are nobody else's", () => {
  const same = [{ value: '240.240.7.7' }, { value: '2001:2::7' }];
  const old = { creationTimestamp: '2026-01-01T00:00:00Z' };
  const young = { creationTimestamp: '2026-02-01T00:00:00Z' };
  const plans = valuesOf([entry('a', {}, same, young), entry('b', {}, same, old)]);
  assert.deepEqual(plans.b, ['240.240.7.7', '2001:2::7'], 'only its host is added');
  assert.ok(!plans.a?.includes('240.240.7.7') && !plans.a?.includes('2001:2::7'));
  const [taken] = valuesOf([entry('a')]).a!;
  const other = valuesOf([entry('a'), entry('z', { addresses: [taken!] })]).a;
  assert.notEqual(other?.[0], taken);
});

test('addresses outside of the blocks are replaced', () => {
  const plan = valuesOf([entry('a', {}, [{ value: '10.0.0.1', host: 'a.example.com' }])]).a;
  assert.match(plan?.[0] ?? '', /^240\.240\./);
});

test('a full block is no endless search', () => {
  const pool = new AddressPool();
  for (let i = 1; i < 0xffff; i++) pool.take(parseIp(`240.240.${i >> 8}.${i & 255}`)!);
  assert.equal(pool.choose(4, 'one more'), undefined);
  assert.notEqual(pool.choose(6, 'other family'), undefined);
});

test('no address is ever given twice, and a plan that was carried out is complete', () => {
  const anyEntry = fc
    .record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      hosts: fc.uniqueArray(fc.constantFrom('x.example.com', 'Y.example.com', '*.example.com'), {
        minLength: 1,
      }),
      resolution: fc.constantFrom<('DNS' | 'STATIC' | 'NONE')[]>('DNS', 'STATIC', 'NONE'),
      status: fc.option(
        fc.array(
          fc.record(
            {
              value: fc.constantFrom('240.240.0.1', '240.240.0.2', '2001:2::1', '10.0.0.1', 'x'),
              host: fc.constantFrom('x.example.com', 'y.example.com'),
            },
            { requiredKeys: ['value'] },
          ),
        ),
        { nil: undefined },
      ),
    })
    .map(({ name, status, ...spec }) => entry(name, spec, status as ServiceEntryAddress[] | undefined));
  fc.assert(
    fc.property(fc.uniqueArray(anyEntry, { selector: (one) => one.metadata.name }), (entries) => {
      const plans = new Map(planAddresses(entries).map((plan) => [plan.entry, plan.addresses]));
      const after = entries.map((one) => {
        const addresses = plans.has(one) ? plans.get(one) : one.status?.addresses;
        return { ...one, status: addresses ? { addresses } : {} } as ServiceEntry;
      });
      const given = after.flatMap((one) => (one.status?.addresses ?? []).map((each) => each.value));
      assert.equal(new Set(given).size, given.length);
      for (const value of given) assert.ok(AddressPool.contains(parseIp(value)!));
      assert.deepEqual(planAddresses(after), []);
    }),
    { numRuns: 1000 },
  );
});
