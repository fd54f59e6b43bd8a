/** The rules of the architecture that a machine can check: direction of imports, one home for each dependency, sizes. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');

/** For each folder of src/ the folders it may import from; the arrows of ARCHITECTURE.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  telemetry: ['base'],
  sys: ['base', 'telemetry'],
  io: ['base', 'telemetry', 'sys'],
  http: ['base', 'telemetry', 'sys', 'io'],
  hbone: ['base', 'telemetry', 'sys', 'io', 'http'],
  mesh: ['base'],
  identity: ['base', 'telemetry'],
  objects: ['base', 'telemetry'],
  kube: ['base', 'telemetry', 'objects'],
  xds: ['base', 'telemetry', 'mesh', 'identity'],
  ztunnel: ['base', 'telemetry', 'sys', 'io', 'http', 'hbone', 'mesh', 'identity', 'xds'],
  cni: ['base', 'telemetry', 'sys', 'io', 'xds', 'objects', 'kube'],
  controlplane: ['base', 'telemetry', 'sys', 'mesh', 'identity', 'xds', 'objects', 'kube'],
  install: ['base'],
  cli: [
    'base',
    'telemetry',
    'objects',
    'kube',
    'install',
    'sandbox/client',
    'cni/enablement-selector',
    'cni/enrolment-decision',
    'cni/pod-facts',
  ],
  sandbox: [
    'base',
    'telemetry',
    'sys',
    'io',
    'mesh',
    'objects',
    'identity',
    'xds',
    'ztunnel',
    'cni',
    'controlplane',
    'cli',
  ],
};

/** The one place (or two) where a dependency may be imported. */
const HOME_OF_PACKAGE: Readonly<Record<string, readonly string[]>> = {
  'node:ffi': ['src/sys/'],
  'node-forge': ['src/identity/'],
  // In objects/ its types only.
  '@kubernetes/client-node': ['src/kube/', 'src/objects/'],
  'prom-client': ['src/telemetry/'],
  undici: ['src/cli/', 'src/kube/', 'src/sandbox/'],
};

const MAX_FILE_LINES = 500;

interface SourceFile {
  readonly path: string;
  readonly folder: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function walk(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(path) : path.endsWith('.ts') ? [path] : [];
  });
}

function readSources(): SourceFile[] {
  return walk(join(ROOT, 'src')).map((path) => {
    const text = readFileSync(path, 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!);
    const name = relative(ROOT, path);
    return { path: name, folder: name.split('/').length > 2 ? name.split('/')[1]! : '', text, imports };
  });
}

const sources = readSources();

function targetOf(file: SourceFile, specifier: string): string {
  return normalize(join(dirname(file.path), specifier));
}

test('imports between the folders of src follow the arrows', () => {
  const wrong: string[] = [];
  for (const file of sources.filter((source) => source.folder !== '')) {
    const allowed = MAY_IMPORT[file.folder];
    assert.ok(allowed !== undefined, `src/${file.folder} has no place in the table of this test`);
    for (const specifier of file.imports.filter((one) => one.startsWith('.'))) {
      const target = targetOf(file, specifier);
      if (target === 'package.json' && file.path === 'src/base/version.ts') continue;
      const folder = target.split('/')[1]!;
      const fine = folder === file.folder || allowed.some((one) => target.startsWith(`src/${one}`));
      if (!fine) wrong.push(`${file.path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('imports have no cycle', () => {
  const byPath = new Map(sources.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    assert.ok(!trail.includes(path), `cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`);
    if (done.has(path)) return;
    const file = byPath.get(path);
    for (const specifier of file?.imports.filter((one) => one.startsWith('.')) ?? []) {
      visit(targetOf(file!, specifier), [...trail, path]);
    }
    done.add(path);
  };
  for (const file of sources) visit(file.path, []);
});

test('each dependency is imported only at its home', () => {
  const wrong = sources.flatMap((file) =>
    file.imports
      .filter((specifier) => {
        const name = Object.keys(HOME_OF_PACKAGE).find(
          (one) => specifier === one || specifier.startsWith(`${one}/`),
        );
        return name !== undefined && !HOME_OF_PACKAGE[name]!.some((home) => file.path.startsWith(home));
      })
      .map((specifier) => `${file.path} imports ${specifier}`),
  );
  assert.deepEqual(wrong, []);
});

test('every file says in its first line what it is for', () => {
  const silent = sources.filter((file) => !file.text.startsWith('/**')).map((file) => file.path);
  assert.deepEqual(silent, []);
});

test(`no source file is longer than ${MAX_FILE_LINES} lines`, () => {
  const long = sources
    .filter((file) => file.text.split('\n').length > MAX_FILE_LINES)
    .map((file) => file.path);
  assert.deepEqual(long, []);
});

test('there is no default export, barrel, utils folder or silenced check', () => {
  const wrong = sources.filter(
    (file) =>
      /export default|@ts-(ignore|expect-error|nocheck)|export \* from/.test(file.text) ||
      /\/(index|utils?|helpers?)(\.ts|\/)/.test(file.path),
  );
  assert.deepEqual(
    wrong.map((file) => file.path),
    [],
  );
});

test('every folder of src is described in ARCHITECTURE.md', () => {
  const page = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  const folders = readdirSync(join(ROOT, 'src')).filter((name) =>
    statSync(join(ROOT, 'src', name)).isDirectory(),
  );
  assert.deepEqual(
    folders.filter((folder) => !page.includes(`\`${folder}/\``)),
    [],
  );
});

test('every error code is explained in docs/errors.md', () => {
  const page = readFileSync(join(ROOT, 'docs', 'errors.md'), 'utf8');
  const codes = new Set(
    sources.flatMap((file) =>
      [...file.text.matchAll(/^ {2}(AMBIT_[A-Z0-9_]+):/gm)].map((match) => match[1]!),
    ),
  );
  assert.ok(codes.size > 0, 'no error catalogue was found');
  assert.deepEqual(
    [...codes].filter((code) => !page.includes(`\`${code}\``)),
    [],
  );
});

/** What is loaded with a file, `import()` and types left out. */
function loadedWith(path: string, loaded = new Set<string>()): ReadonlySet<string> {
  const file = sources.find((source) => source.path === path);
  if (file === undefined || loaded.has(path)) return loaded;
  loaded.add(path);
  const imports = [...file.text.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)'/gms)];
  for (const [, specifier] of imports) {
    if (specifier!.startsWith('.')) loadedWith(targetOf(file, specifier!), loaded);
    else loaded.add(specifier!);
  }
  return loaded;
}

test('who has no cluster loads nothing for one, and only a kubeconfig loads the Kubernetes library', () => {
  for (const entry of ['cni/command', 'controlplane/command', 'ztunnel/main', 'sandbox/command']) {
    const kube = [...loadedWith(`src/${entry}.ts`)].filter((path) => path.startsWith('src/kube/'));
    assert.deepEqual(kube, [], entry);
  }
  const source = loadedWith('src/kube/kubernetes-source.ts');
  assert.ok(source.has('undici') && source.has('src/kube/reflector.ts'));
  for (const entry of readdirSync(join(ROOT, 'src/kube'))) {
    const library = loadedWith(`src/kube/${entry}`).has('@kubernetes/client-node');
    assert.equal(library, entry === 'kubeconfig.ts', entry);
  }
});
