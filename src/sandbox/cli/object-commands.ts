/** `ambit sandbox apply`, `delete`, `label` and `get`. */

import { type KindInfo, kindInfo } from '../api/kind-registry.ts';
import { displayName, groupOf, type KubeObject, type Reference, referenceTo } from '../api/kube-object.ts';
import { type Manifest, readManifests } from '../api/manifest-file.ts';
import { SandboxClient } from '../client/sandbox-client.ts';
import type { OutputFormat } from '../client/sandbox-protocol.ts';
import { sandboxErrors } from '../errors.ts';
import { objectRows } from './object-table.ts';
import { formatData, formatTable } from './output.ts';
import { note, print } from './terminal.ts';

export interface NamedOptions {
  readonly name: string;
}

export interface ScopeOptions extends NamedOptions {
  readonly namespace: string;
}

/** Time for pods to end after their grace period is over. */
const DELETE_MARGIN_MS = 30_000;
const POLL_MS = 50;

export async function apply(options: ScopeOptions & { readonly filename: readonly string[] }): Promise<void> {
  const { manifests, warnings } = readManifests(options.filename);
  for (const warning of warnings) note(`warning: ${warning}`);
  await applyManifests(SandboxClient.named(options.name), manifests, options.namespace);
}

export async function applyManifests(
  client: SandboxClient,
  manifests: readonly Manifest[],
  namespace: string,
  tell: (line: string) => void = print,
): Promise<void> {
  for (const { reference, result } of await client.call('apply', { manifests, namespace })) {
    tell(`${displayName(reference)} ${result}`);
  }
}

export interface DeleteOptions extends ScopeOptions {
  readonly filename?: readonly string[];
  readonly gracePeriod?: number;
  readonly wait: boolean;
  readonly ignoreNotFound?: boolean;
}

/** By files, or by KIND NAME… */
export async function remove(words: readonly string[], options: DeleteOptions): Promise<void> {
  const client = SandboxClient.named(options.name);
  const wanted =
    options.filename === undefined ? await referencesOf(client, words, options) : fromFiles(options);
  const present = options.ignoreNotFound ? await existing(client, wanted) : wanted;
  const { gracePeriod } = options;
  const grace = gracePeriod === undefined ? {} : { graceSeconds: gracePeriod };
  for (const reference of await client.call('delete', { references: present, ...grace })) {
    print(`${displayName(reference)} deleted`);
  }
  if (options.wait) await untilGone(client, present);
}

function fromFiles({ filename = [], namespace }: DeleteOptions): readonly Reference[] {
  return readManifests(filename).manifests.map(({ value }) => {
    const { apiVersion, kind, metadata } = value as unknown as KubeObject;
    const group = groupOf(apiVersion);
    const own = kindInfo(kind, group).namespaced ? (metadata.namespace ?? namespace) : '';
    return { kind, group, namespace: own, name: metadata.name };
  });
}

async function referencesOf(
  client: SandboxClient,
  words: readonly string[],
  { namespace }: ScopeOptions,
): Promise<readonly Reference[]> {
  const targets = splitTargets(words);
  return Promise.all(
    targets.map(async ({ kind, name }) => {
      const { info } = await client.call('objects', { kind });
      return { kind: info.kind, group: info.group, namespace: info.namespaced ? namespace : '', name };
    }),
  );
}

async function existing(
  client: SandboxClient,
  references: readonly Reference[],
): Promise<readonly Reference[]> {
  const present = await Promise.all(references.map((one) => isThere(client, one)));
  return references.filter((_, at) => present[at]);
}

async function isThere(client: SandboxClient, { kind, group, namespace, name }: Reference): Promise<boolean> {
  const { objects } = await client.call('objects', {
    kind: group === '' ? kind : `${kindInfo(kind, group).plural}.${group}`,
  });
  return objects.some(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
}

/** Deletion of a namespace is over when its pods are. */
async function untilGone(client: SandboxClient, references: readonly Reference[]): Promise<void> {
  let lastChangeMs = performance.now();
  let leftBefore = -1;
  for (;;) {
    const left = await remaining(client, references);
    if (left === 0) return;
    if (left !== leftBefore) lastChangeMs = performance.now();
    leftBefore = left;
    if (performance.now() - lastChangeMs > 300_000 + DELETE_MARGIN_MS) {
      throw sandboxErrors.AMBIT_SANDBOX_NOT_READY(`${left} objects are still being deleted`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function remaining(client: SandboxClient, references: readonly Reference[]): Promise<number> {
  const namespaces = references.filter((one) => one.kind === 'Namespace').map((one) => one.name);
  const pods = await client.call('objects', { kind: 'pods' });
  const inNamespaces = pods.objects.filter(({ metadata }) => namespaces.includes(metadata.namespace));
  const left = await existing(client, references);
  return left.length + inNamespaces.length;
}

export async function label(words: readonly string[], options: ScopeOptions): Promise<void> {
  const isChange = (word: string) => word.includes('=') || word.endsWith('-');
  const changes = Object.fromEntries(words.filter(isChange).map(parseChange));
  if (Object.keys(changes).length === 0) throw usage('label needs KEY=VALUE or KEY-');
  const client = SandboxClient.named(options.name);
  for (const { kind, name } of splitTargets(words.filter((word) => !isChange(word)))) {
    const query = { kind, name, namespace: options.namespace, changes };
    print(`${displayName(await client.call('label', query))} labeled`);
  }
}

/** `KEY=VALUE` sets, `KEY-` takes away. */
function parseChange(word: string): readonly [string, string | null] {
  const cut = word.indexOf('=');
  return cut < 0 ? [word.slice(0, -1), null] : [word.slice(0, cut), word.slice(cut + 1)];
}

/** `KIND NAME…` or `KIND/NAME…`. */
function splitTargets(words: readonly string[]): readonly { readonly kind: string; readonly name: string }[] {
  const [first = '', ...rest] = words;
  if (first.includes('/')) {
    return words.map((word) => {
      const [kind = '', name = ''] = word.split('/');
      return { kind, name };
    });
  }
  if (rest.length === 0) throw usage('name the kind and the object: KIND NAME');
  return rest.map((name) => ({ kind: first, name }));
}

export interface GetOptions extends ScopeOptions {
  readonly allNamespaces?: boolean;
  readonly output: OutputFormat;
  readonly selector?: string;
  readonly headers: boolean;
}

export async function get(kind: string, names: readonly string[], options: GetOptions): Promise<void> {
  const client = SandboxClient.named(options.name);
  const [plainKind, ...slashed] = kind.split('/') as [string, ...string[]];
  const wanted = [...slashed, ...names];
  const scope = options.allNamespaces ? {} : { namespace: options.namespace };
  const queries = wanted.length === 0 ? [{}] : wanted.map((name) => ({ name }));
  const lists = await Promise.all(
    queries.map((query) => client.call('objects', { kind: plainKind, ...scope, ...query })),
  );
  const objects = lists.flatMap((list) => list.objects).filter(selectorFilter(options.selector));
  const single = wanted.length === 1 ? objects[0] : undefined;
  printObjects(lists[0]!.info, objects, single, options);
}

function printObjects(
  info: KindInfo,
  objects: readonly KubeObject[],
  single: KubeObject | undefined,
  options: GetOptions,
): void {
  const { output, headers, allNamespaces = false } = options;
  if (output === 'json' || output === 'yaml') {
    const items = objects.map(withoutEmptyNamespace);
    const data = single === undefined ? { apiVersion: 'v1', kind: 'List', items } : items[0];
    process.stdout.write(formatData(output, data));
  } else if (output === 'name') {
    for (const object of objects) print(displayName(referenceTo(object)));
  } else if (objects.length === 0) {
    note(
      allNamespaces || !info.namespaced ? 'nothing found' : `nothing found in namespace ${options.namespace}`,
    );
  } else {
    const withNamespace = allNamespaces && info.namespaced;
    const rows = objectRows(info.kind, objects, { wide: output === 'wide', withNamespace, header: headers });
    process.stdout.write(formatTable(rows));
  }
}

function withoutEmptyNamespace(object: KubeObject): object {
  const { namespace, ...metadata } = object.metadata;
  return namespace === '' ? { ...object, metadata } : object;
}

/** `app=web,tier!=cache,canary`. */
function selectorFilter(selector = ''): (object: KubeObject) => boolean {
  const terms = selector.split(',').filter((term) => term !== '');
  return ({ metadata: { labels = {} } }) =>
    terms.every((term) => {
      const match = /^([^!=]+)(?:(!?=)=?(.*))?$/.exec(term);
      if (match === null) throw usage(`${term} is not a label selector`);
      const [, key = '', operator, value = ''] = match;
      if (operator === undefined) return key in labels;
      return (labels[key] === value) === (operator === '=');
    });
}

function usage(message: string) {
  return sandboxErrors.AMBIT_SANDBOX_USAGE(message);
}
