/** What a container runtime gives to the plugin: read, or refused in the words of the CNI specification. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CniError } from '../../../../src/cni/plugin/cni-error.ts';
import { isJsonObject, readInvocation, SUPPORTED_VERSIONS } from '../../../../src/cni/plugin/invocation.ts';
import { pluginEntry, readPluginConfig } from '../../../../src/cni/plugin/plugin-config.ts';
import { CNI_ENVIRONMENT } from '../../../support/cni-environment.ts';

test('any text for a configuration, and any environment, is read or refused with a number of the specification', () => {
  const texts = fc.oneof(fc.json(), fc.string(), fc.constantFrom(...SUPPORTED_VERSIONS).map(versionOnly));
  const values = fc.option(fc.string({ maxLength: 20 }), { nil: undefined });
  const environments = fc.record({
    CNI_COMMAND: fc.constantFrom('ADD', 'DEL', 'CHECK', 'VERSION', 'GC', 'STATUS', 'NO'),
    CNI_CONTAINERID: values,
    CNI_NETNS: values,
    CNI_ARGS: values,
  });
  fc.assert(
    fc.property(texts, environments, (text, environment) => {
      try {
        readInvocation({ ...CNI_ENVIRONMENT, ...environment }, text);
      } catch (thrown) {
        assert.ok(thrown instanceof CniError, String(thrown));
      }
    }),
  );
});

function versionOnly(cniVersion: string): string {
  return JSON.stringify({ cniVersion });
}

test('arguments are pairs between semicolons, whatever else is between them', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9_]{1,10}$/);
  fc.assert(
    fc.property(fc.dictionary(word, fc.stringMatching(/^[^;]{0,10}$/)), fc.array(word), (pairs, noise) => {
      const given = [...noise, ...Object.entries(pairs).map(([name, value]) => `${name}=${value}`)].join(';');
      const { args } = readInvocation({ ...CNI_ENVIRONMENT, CNI_ARGS: given }, versionOnly('1.0.0'));
      assert.deepEqual(Object.fromEntries(args), { ...pairs });
    }),
  );
});

test('the configuration that the installer writes is the one that the plugin reads', () => {
  const name = fc.string({ maxLength: 10 });
  const labels = fc.dictionary(name, name, { maxKeys: 3, noNullPrototype: true });
  const selectors = fc.array(
    labels.map((matchLabels) => ({ podSelector: { matchLabels } })),
    {
      maxLength: 3,
    },
  );
  fc.assert(
    fc.property(name, fc.array(name), selectors, (folder, excludedNamespaces, list) => {
      const config = { runDir: `/${folder}`, settings: { selectors: list, excludedNamespaces } };
      const written: unknown = JSON.parse(JSON.stringify(pluginEntry(config)));
      assert.ok(isJsonObject(written));
      assert.deepEqual(readPluginConfig(written), config);
    }),
  );
});

test('any other configuration of the plugin is read or refused', () => {
  const fields = fc.record(
    {
      runDir: fc.oneof(fc.constant('/run'), fc.jsonValue()),
      excludeNamespaces: fc.jsonValue(),
      enablementSelectors: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fields, (config) => {
      try {
        readPluginConfig(config);
      } catch (thrown) {
        assert.ok(thrown instanceof CniError, String(thrown));
      }
    }),
  );
});
