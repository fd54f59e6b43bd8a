/** Turns the text of a manifest file into objects, and whatever is wrong with it into problems with line numbers. */

import { type Document, isMap, isNode, isSeq, LineCounter, parseAllDocuments } from 'yaml';
import { messageOf } from '../base/errors.ts';
import { isObjectKind, KINDS, type ObjectKind } from './kinds.ts';
import type { ObjectReference } from './object-source.ts';
import { type Fault, type FieldPath, formatPath, isRecord } from './schema.ts';
import { validateManifest } from './validation.ts';

/** A manifest as written, found valid; what the source adds to it (uid, generation) is not in it. */
export interface Manifest {
  readonly reference: ObjectReference;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Where it begins, counted from 1 within the parsed text. */
  readonly line: number;
}

export interface ManifestProblem {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** Counted from 1, within the parsed text. */
  readonly line: number;
  readonly reference?: ObjectReference;
}

/** What one document of a file holds. */
export interface ParsedDocument {
  readonly manifests: readonly Manifest[];
  readonly problems: readonly ManifestProblem[];
  /** Objects that are here but unusable: their last good state stays. */
  readonly broken: readonly ObjectReference[];
  /** Something is here that cannot be named: nothing that the file held before may be taken for deleted. */
  readonly unreadable: boolean;
}

/** Alias expansion beyond this is taken for an attack ("billion laughs"). */
const MAX_ALIASES = 100;
/** Nesting of lists of lists of objects; more is a mistake. */
const MAX_LIST_DEPTH = 4;

/** Where the documents of a file begin (YAML 1.2 §9.1.2: `---` in the first column is always a marker). */
const DOCUMENT_MARKER = /^---(?=\s|$)/gm;

export interface DocumentText {
  readonly text: string;
  /** Lines of the file before it. */
  readonly lineOffset: number;
}

/** Cuts a file into documents, so that only those that changed are parsed again. */
export function splitDocuments(file: string): readonly DocumentText[] {
  const starts = [0, ...[...file.matchAll(DOCUMENT_MARKER)].map((match) => match.index), file.length];
  const documents: DocumentText[] = [];
  let lineOffset = 0;
  for (let i = 0; i + 1 < starts.length; i++) {
    const text = file.slice(starts[i], starts[i + 1]);
    if (text.trim() !== '') documents.push({ text, lineOffset });
    lineOffset += countLines(text);
  }
  return documents;
}

/** Parses one document: an object, or a List of them. Never throws. */
export function parseManifests(text: string): ParsedDocument {
  const collector = new Collector();
  const plain = parsePlainJson(text);
  if (plain !== undefined) {
    collector.collect(plain, [], 0);
    if (collector.problems.length === 0) return collector.result();
  }
  return parseWithLines(text);
}

/** JSON without its positions is read ten times faster; they are only needed when something is wrong. */
function parsePlainJson(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseWithLines(text: string): ParsedDocument {
  const lines = new LineCounter();
  const collector = new Collector();
  // It would print warnings on its own: what is odd is said as a problem.
  for (const document of parseAllDocuments(text, { lineCounter: lines, strict: true, logLevel: 'error' })) {
    const error = document.errors[0] ?? undefined;
    if (error !== undefined) {
      collector.fail(firstLineOf(error.message), error.linePos?.[0].line ?? 1);
    } else if (document.contents !== null) {
      collectDocument(document, lines, collector);
    }
  }
  return collector.result();
}

function collectDocument(document: Document.Parsed, lines: LineCounter, collector: Collector): void {
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    collector.lineOf = (path) => lineOfPath(document, lines, path);
    if (value !== null) collector.collect(value, [], 0);
  } catch (thrown) {
    collector.fail(messageOf(thrown), 1);
  }
}

/** Gathers the result of one text. */
class Collector {
  readonly problems: ManifestProblem[] = [];
  lineOf: (path: FieldPath) => number = () => 1;
  readonly #manifests: Manifest[] = [];
  readonly #broken: ObjectReference[] = [];
  #unreadable = false;

  result(): ParsedDocument {
    return {
      manifests: this.#manifests,
      problems: this.problems,
      broken: this.#broken,
      unreadable: this.#unreadable,
    };
  }

  /** The text is not YAML at this line. */
  fail(message: string, line: number): void {
    this.#unreadable = true;
    this.problems.push({ code: 'AMBIT_OBJECTS_SYNTAX', severity: 'error', message, line });
  }

  collect(value: unknown, path: FieldPath, depth: number): void {
    const header = headerOf(value, path);
    if ('fault' in header) {
      this.#unreadable = true;
      this.#report('AMBIT_OBJECTS_INVALID', header.fault);
    } else if (header.items !== undefined && depth < MAX_LIST_DEPTH) {
      header.items.forEach((item, at) => {
        this.collect(item, [...path, 'items', at], depth + 1);
      });
    } else if (isObjectKind(header.kind) && groupOf(header.apiVersion) === KINDS[header.kind].group) {
      this.#collectObject(header.kind, header.fields, path);
    } else if (looksLikeOurs(header)) {
      const message = `the mesh does not read ${header.kind} of ${header.apiVersion}`;
      this.#report('AMBIT_OBJECTS_UNKNOWN_KIND', { path: [...path, 'kind'], message, severity: 'warning' });
    }
  }

  #collectObject(kind: ObjectKind, value: Record<string, unknown>, path: FieldPath): void {
    const reference = referenceIn(kind, value);
    const faults = validateManifest(kind, value);
    for (const fault of faults) {
      const code = fault.severity === 'error' ? 'AMBIT_OBJECTS_INVALID' : 'AMBIT_OBJECTS_UNKNOWN_FIELD';
      this.#report(code, { ...fault, path: [...path, ...fault.path] }, reference, path.length);
    }
    const valid = faults.every((fault) => fault.severity === 'warning');
    if (reference === undefined) this.#unreadable = true;
    else if (!valid) this.#broken.push(reference);
    else {
      const fields = withoutNulls(value) as Manifest['fields'];
      this.#manifests.push({ reference, fields, line: this.lineOf(path) });
    }
  }

  #report(code: string, fault: Fault, reference?: ObjectReference, skip = 0): void {
    const field = formatPath(fault.path.slice(skip));
    const message = field === '' ? fault.message : `${field}: ${fault.message}`;
    this.problems.push({
      code,
      severity: fault.severity,
      message: code === 'AMBIT_OBJECTS_UNKNOWN_KIND' ? fault.message : message,
      line: this.lineOf(fault.path),
      ...(reference === undefined ? {} : { reference }),
    });
  }
}

interface Header {
  readonly kind: string;
  readonly apiVersion: string;
  /** Of a List kind. */
  readonly items?: readonly unknown[];
  readonly fields: Record<string, unknown>;
}

/** What a manifest says it is. */
function headerOf(value: unknown, path: FieldPath): Header | { readonly fault: Fault } {
  const wrong = (at: FieldPath, message: string) => ({
    fault: { path: at, message, severity: 'error' as const },
  });
  if (!isRecord(value)) return wrong(path, 'must be an object with apiVersion, kind and metadata');
  const { kind, apiVersion, items } = value;
  if (typeof kind !== 'string' || kind === '') return wrong([...path, 'kind'], 'must name a kind');
  if (typeof apiVersion !== 'string')
    return wrong([...path, 'apiVersion'], 'must name an API group and version');
  const header = { kind, apiVersion, fields: value };
  return kind.endsWith('List') && Array.isArray(items) ? { ...header, items } : header;
}

/** Who an object is, even when the rest of it is wrong; undefined when it has no usable name. */
function referenceIn(kind: ObjectKind, value: Record<string, unknown>): ObjectReference | undefined {
  const metadata = value.metadata;
  if (!isRecord(metadata) || typeof metadata.name !== 'string' || metadata.name === '') return undefined;
  const { name, namespace } = metadata;
  if (!KINDS[kind].namespaced) return { kind, namespace: '', name };
  if (typeof namespace === 'string' && namespace !== '') return { kind, namespace, name };
  return namespace === undefined || namespace === null ? { kind, namespace: 'default', name } : undefined;
}

/** Groups whose kinds are all about the mesh, apart from those that are read. */
const OUR_GROUPS: ReadonlySet<string> = new Set(
  Object.values(KINDS)
    .map(({ group }) => group)
    .filter((group) => group !== '' && group !== KINDS.EndpointSlice.group),
);
/** Kinds of the core group that somebody else reads. */
const OTHER_CORE_KINDS: ReadonlySet<string> = new Set([
  'Binding',
  'ConfigMap',
  'Endpoints',
  'Event',
  'LimitRange',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'PodTemplate',
  'ReplicationController',
  'ResourceQuota',
  'Secret',
  'ServiceAccount',
]);

/** A folder may hold Deployments and the like; one of our kinds in another group, or an unknown kind of ours, is odd. */
function looksLikeOurs({ kind, apiVersion }: Header): boolean {
  const group = groupOf(apiVersion);
  return isObjectKind(kind) || OUR_GROUPS.has(group) || (group === '' && !OTHER_CORE_KINDS.has(kind));
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.lastIndexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/** `creationTimestamp: null` and its like mean absent; the types know no null. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== null && one !== undefined);
  return Object.fromEntries(entries.map(([key, one]) => [key, withoutNulls(one)]));
}

/** The line of a field; of the nearest thing around it that is there, when it is not. */
function lineOfPath(document: Document.Parsed, lines: LineCounter, path: FieldPath): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const step of path) {
    const [next, at] = stepInto(node, step);
    if (at === undefined) break;
    node = next;
    offset = at;
  }
  return lines.linePos(offset).line;
}

/** The child of a node and where it begins: a field begins at its name. */
function stepInto(node: unknown, step: string | number): [unknown, number | undefined] {
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step];
    return [item, isNode(item) ? item.range?.[0] : undefined];
  }
  if (!isMap(node)) return [undefined, undefined];
  const pair = node.items.find((one) => isNode(one.key) && String(one.key) === String(step));
  return [pair?.value, isNode(pair?.key) ? pair.key.range?.[0] : undefined];
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** The parser's messages go on with a picture of the place. */
function firstLineOf(message: string): string {
  return message.split('\n', 1)[0]!.replace(/ at line \d+, column \d+:?$/, '');
}
