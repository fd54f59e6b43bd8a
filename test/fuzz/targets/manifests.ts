/** Manifests in YAML or JSON: read as files of a folder, compiled into the mesh, and what an API server sends. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileObject } from '../../../src/controlplane/compile/compile-object.ts';
import { DEFAULT_COMPILE_OPTIONS } from '../../../src/controlplane/compile/compile-options.ts';
import { parseWatchEvent } from '../../../src/kube/watch-event.ts';
import type { MeshObject } from '../../../src/objects/kinds.ts';
import { EMPTY_FILE, parseManifestFile } from '../../../src/objects/manifest-file.ts';
import type { Manifest } from '../../../src/objects/manifest-parser.ts';
import { decodeAuthorization, encodeAuthorization } from '../../../src/xds/authorization-conversion.ts';
import { decodeAddress, encodeService, encodeWorkload } from '../../../src/xds/workload-conversion.ts';
import { LinearLookup } from '../../support/linear-lookup.ts';
import { codeOf, kindOf, magnitude, textTarget } from '../fuzz-target.ts';

const SEEDS = readFileSync(join(import.meta.dirname, '..', 'seeds', 'manifests.yaml'), 'utf8');
const WORDS = [
  '---\n',
  'null',
  '[]',
  '{}',
  '&a ',
  '*a',
  '<<: *a',
  '!!binary ',
  '? ',
  '| \n',
  'kind: List\nitems:\n- ',
  'spec:',
  'port: 0',
  'targetPort: http',
  '"*"',
  '10.0.0.0/33',
  'istio.io/use-waypoint: a',
  'from:\n    - source: {}',
  '1e999',
  '__proto__',
];

function objectOf({ reference, fields }: Manifest): MeshObject {
  const metadata = { ...(fields.metadata as object), ...reference, uid: 'uid', generation: 1 };
  return { ...fields, kind: reference.kind, metadata } as unknown as MeshObject;
}

/** What is valid compiles, and what it compiles into is understood by a proxy. */
export const manifestTarget = textTarget({
  name: 'manifests',
  seeds: () => SEEDS.split(/^---$/m),
  words: WORDS,
  run: (text) => {
    const file = parseManifestFile('a.yaml', text, EMPTY_FILE);
    const lines = text.split('\n').length;
    for (const { line = 1 } of file.problems)
      assert.ok(line >= 1 && line <= lines, `line ${line} of ${lines}`);
    const objects = [...file.manifests.values()].map(objectOf);
    const context = { options: DEFAULT_COMPILE_OPTIONS, objects: new LinearLookup(objects) };
    const made = objects.flatMap((object) => {
      const { resources, conditions } = compileObject(context, object);
      return [
        object.kind,
        ...resources.map(checkResource),
        ...conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`),
      ];
    });
    const problems = file.problems.map(
      ({ code, message }) => `${code} ${kindOf(message.slice(message.indexOf(' ')))}`,
    );
    return [...new Set([...made, ...problems])].slice(0, 10).join();
  },
});

function checkResource(resource: ReturnType<typeof compileObject>['resources'][number]): string {
  switch (resource.kind) {
    case 'workload':
      decodeAddress(encodeWorkload(resource.value));
      break;
    case 'service':
      decodeAddress(encodeService(resource.value));
      break;
    case 'authorization':
      decodeAuthorization(encodeAuthorization(resource.value));
      break;
  }
  return resource.kind;
}

const POD = '{"metadata":{"name":"cart","namespace":"shop","resourceVersion":"12"}}';

export const watchTarget = textTarget({
  name: 'watch-events',
  seeds: () => [
    `{"type":"ADDED","object":${POD}}`,
    '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"12"}}}',
    '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old","details":{"causes":[{"reason":"a","message":"b"}],"retryAfterSeconds":1}}}',
  ],
  words: ['null', '"type":"DELETED"', '"object":', '[]', '""', '1e999', '"__proto__":{}', '"details":null'],
  run: (text) =>
    codeOf(() => {
      const event = parseWatchEvent(text);
      return event.kind === 'failure' ? `failure ${magnitude(event.failure.code)}` : event.kind;
    }),
});
