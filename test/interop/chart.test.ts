/** The Helm chart under Helm: for the same values it renders the objects that `ambit install` applies. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { makeChart } from '../../scripts/packaging/chart.ts';
import {
  isJsonObject,
  isManifest,
  type Json,
  type JsonObject,
  type Manifest,
} from '../../src/install/manifest.ts';
import { renderManifests } from '../../src/install/render-manifests.ts';
import { interopPeer } from '../support/interop-peers.ts';

const HELM = interopPeer('helm');
/** A Helm that is built from its module takes a very old cluster for granted. */
const KUBE_VERSION = ['--kube-version', '1.36.0'];
const folder = mkdtempSync(join(tmpdir(), 'ambit-chart-'));
const chart = join(folder, 'ambit');
for (const [path, text] of makeChart()) {
  mkdirSync(join(chart, dirname(path)), { recursive: true });
  writeFileSync(join(chart, path), text);
}
after(() => rmSync(folder, { recursive: true, force: true }));

function helm(...args: readonly string[]): string {
  return execFileSync(HELM, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function rendered(namespace: string, values: JsonObject): Map<string, Json> {
  const file = join(folder, 'values.yaml');
  writeFileSync(file, JSON.stringify(values));
  const text = helm(
    'template',
    'ambit',
    chart,
    ...KUBE_VERSION,
    '-n',
    namespace,
    '-f',
    file,
    '--include-crds',
  );
  return byName(parseAllDocuments(text).map((document): Json => document.toJS()));
}

/** Helm makes the namespace itself; the order of variables means nothing. */
function byName(objects: readonly Json[]): Map<string, Json> {
  const wanted = objects.filter(isManifest).filter((object: Manifest) => object.kind !== 'Namespace');
  return new Map(
    wanted.map((object) => [`${object.kind}/${object.metadata.name}`, withSortedVariables(object)]),
  );
}

function withSortedVariables(tree: Json): Json {
  if (Array.isArray(tree)) return tree.map(withSortedVariables);
  if (!isJsonObject(tree)) return tree;
  const entries = Object.entries(tree).map(([key, value]): [string, Json] => {
    const sorted = withSortedVariables(value);
    return [key, key === 'env' && Array.isArray(sorted) ? sorted.toSorted(compareNames) : sorted];
  });
  return Object.fromEntries(entries);
}

function compareNames(one: Json, other: Json): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
}

const CASES: Readonly<Record<string, { readonly namespace?: string; readonly values: JsonObject }>> = {
  'no values': { values: {} },
  'another namespace': { namespace: 'mesh', values: {} },
  'an image of a registry': { values: { hub: 'reg.example:5000/mesh/', tag: 'v2' } },
  'an image by digest': {
    values: { image: 'reg.example/ambit@sha256:0123', imagePullSecrets: [{ name: 's' }] },
  },
  'texts that look like something else': {
    values: { network: 'yes', multiCluster: { clusterName: '1e3' }, cni: { cniBinDir: '/a: b #c' } },
  },
  'numbers and switches for texts': {
    values: { controlplane: { replicas: '3' }, cni: { dnsCapture: false } },
  },
  'variables that are new, and in the place of others': {
    values: { ztunnel: { env: { RUST_LOG: 'debug', IPV6_ENABLED: false, X: '"quoted"' } } },
  },
  'parts of objects': {
    values: {
      ztunnel: {
        resources: { limits: { memory: '2Gi' } },
        nodeSelector: { 'example.org/pool': 'a' },
        podAnnotations: { 'example.org/note': 'b: c' },
        podLabels: { team: 'mesh' },
      },
    },
  },
  'lists and objects that are emptied': {
    values: { cni: { tolerations: [] }, controlplane: { affinity: { podAntiAffinity: null } } },
  },
  'contexts and affinities': {
    values: {
      cni: { seLinuxOptions: { type: 'spc_t' }, affinity: { nodeAffinity: {} } },
      controlplane: { tolerations: [{ key: 'a', operator: 'Exists' }] },
    },
  },
};

for (const [name, { namespace = 'ambit-system', values }] of Object.entries(CASES)) {
  test(`Helm and the command render the same objects: ${name}`, () => {
    assert.deepEqual(rendered(namespace, values), byName(renderManifests({ namespace, values })));
  });
}

test('Helm has nothing to say against the chart', () => {
  assert.match(helm('lint', chart, '--strict', ...KUBE_VERSION), /1 chart\(s\) linted, 0 chart\(s\) failed/);
});
