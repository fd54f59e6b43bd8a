/** CNI configurations as values: what is accepted, and that nothing but our entry ever changes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatList,
  hasEntry,
  type JsonObject,
  type NetworkList,
  parseList,
  parseSingle,
  withEntry,
  withoutEntry,
} from '../../../../src/cni/install/network-config.ts';

const ENTRY: JsonObject = { type: 'ambit-cni', runDir: '/run/x' };

const plugin = fc
  .record({ type: fc.constantFrom('bridge', 'calico', 'portmap', 'istio-cni'), more: fc.jsonValue() })
  .map((value): JsonObject => ({ ...value, capabilities: { portMappings: true } }));

const list = fc
  .record({
    cniVersion: fc.constantFrom('0.3.1', '0.4.0', '1.0.0', '1.1.0'),
    name: fc.string({ minLength: 1 }),
    plugins: fc.array(plugin, { minLength: 1, maxLength: 5 }),
    disableGC: fc.boolean(),
  })
  .map((value): NetworkList => value);

test('taking the entry out of a list gives back what was there before it was put in', () => {
  fc.assert(
    fc.property(list, (before) => {
      const after = withEntry(before, ENTRY);
      assert.deepEqual(after.plugins.at(-1), ENTRY);
      assert.equal(formatList(withoutEntry(after)), formatList(before));
      assert.ok(hasEntry(after) && !hasEntry(before));
    }),
  );
});

test('putting the entry in twice is putting it in once, also when others stand behind it', () => {
  fc.assert(
    fc.property(list, fc.array(plugin, { maxLength: 3 }), (before, behind) => {
      const once = withEntry(before, ENTRY);
      const followed = { ...once, plugins: [...once.plugins, ...behind] };
      assert.equal(formatList(withEntry(followed, ENTRY)), formatList(followed));
    }),
  );
});

test('an older entry is replaced where it stands, and several become one', () => {
  const old = { type: 'ambit-cni', runDir: '/old' };
  const [bridge, portmap] = [{ type: 'bridge' }, { type: 'portmap' }];
  const base = { name: 'net' };
  const replaced = withEntry({ ...base, plugins: [bridge, old, portmap] }, ENTRY);
  assert.deepEqual(replaced.plugins, [bridge, ENTRY, portmap]);
  const merged = withEntry({ ...base, plugins: [bridge, old, portmap, old] }, ENTRY);
  assert.deepEqual(merged.plugins, [bridge, ENTRY, portmap]);
  const moved = withEntry({ ...base, plugins: [old, bridge] }, ENTRY);
  assert.deepEqual(moved.plugins, [bridge, ENTRY]);
});

test('a list survives being written and read', () => {
  fc.assert(
    fc.property(list, (one) => {
      assert.equal(formatList(parseList(formatList(one))!), formatList(one));
    }),
  );
});

test('what libcni would not accept is not taken for a configuration', () => {
  const bad = ['', '[]', '{}', '{"name":"x"}', '{"name":"x","plugins":[]}', '{"plugins":[{"type":"a"}]}'];
  for (const text of [...bad, '{"name":"x","plugins":[{}]}', '{"name":"x","plugins":[null]}']) {
    assert.equal(parseList(text), undefined, text);
  }
  for (const text of ['', 'null', '{}', '{"type":""}', '{"name":"x","plugins":[{"type":"a"}]}']) {
    assert.equal(parseSingle(text, 'x'), undefined, text);
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseList(text);
      parseSingle(text, 'x');
    }),
  );
});

test('a single configuration becomes a list of one with its name and version', () => {
  assert.deepEqual(parseSingle('{"cniVersion":"0.3.1","name":"pods","type":"bridge","mtu":1400}', 'file'), {
    cniVersion: '0.3.1',
    name: 'pods',
    plugins: [{ cniVersion: '0.3.1', name: 'pods', type: 'bridge', mtu: 1400 }],
  });
  assert.deepEqual(parseSingle('{"type":"bridge"}', 'file'), { name: 'file', plugins: [{ type: 'bridge' }] });
});
