/** One file of manifests through its edits: what it holds now, and what of it still stands although it is broken. */

import { type Manifest, type ParsedDocument, parseManifests, splitDocuments } from './manifest-parser.ts';
import { objectKey, type SourceProblem } from './object-source.ts';

export interface ManifestFile {
  /** By object key: good ones, and the last good state of broken ones. */
  readonly manifests: ReadonlyMap<string, Manifest>;
  readonly problems: readonly SourceProblem[];
  /** Something in it could not be named: it may hold any object. */
  readonly unreadable: boolean;
  /** By the text of the document, so that only edited ones are parsed again. */
  readonly documents: ReadonlyMap<string, ParsedDocument>;
}

export const EMPTY_FILE: ManifestFile = {
  manifests: new Map(),
  problems: [],
  unreadable: false,
  documents: new Map(),
};

/**
 * Reads the new text of a file.
 * @param file the name that problems are told with
 * @param before the file as it was before the edit
 */
export function parseManifestFile(file: string, text: string, before: ManifestFile): ManifestFile {
  const documents = new Map<string, ParsedDocument>();
  const manifests = new Map<string, Manifest>();
  const problems: SourceProblem[] = [];
  let unreadable = false;
  for (const { text: document, lineOffset } of splitDocuments(text)) {
    const parsed = documents.get(document) ?? before.documents.get(document) ?? parseManifests(document);
    documents.set(document, parsed);
    unreadable ||= parsed.unreadable;
    problems.push(...parsed.problems.map((one) => located(file, lineOffset, one)));
    problems.push(...adopt({ file, lineOffset, before: before.manifests }, parsed, manifests));
  }
  if (unreadable) {
    for (const [key, manifest] of before.manifests) if (!manifests.has(key)) manifests.set(key, manifest);
  }
  return { manifests, problems, unreadable, documents };
}

interface Place {
  readonly file: string;
  readonly lineOffset: number;
  readonly before: ReadonlyMap<string, Manifest>;
}

/** Takes over the objects of one document; one that is there already is a problem. */
function adopt(place: Place, parsed: ParsedDocument, manifests: Map<string, Manifest>): SourceProblem[] {
  const problems: SourceProblem[] = [];
  for (const manifest of parsed.manifests) {
    const key = objectKey(manifest.reference);
    if (manifests.has(key)) problems.push(located(place.file, place.lineOffset, twice(key, manifest)));
    else manifests.set(key, { ...manifest, line: manifest.line + place.lineOffset });
  }
  for (const reference of parsed.broken) {
    const key = objectKey(reference);
    const lastGood = place.before.get(key);
    if (lastGood !== undefined && !manifests.has(key)) manifests.set(key, lastGood);
  }
  return problems;
}

function twice(key: string, { reference, line }: Manifest): SourceProblem & { readonly line: number } {
  const message = `${key} is in this file twice; the first one wins`;
  return { code: 'AMBIT_OBJECTS_DUPLICATE', severity: 'warning', message, line, reference };
}

function located<T extends Omit<SourceProblem, 'line' | 'file'> & { readonly line: number }>(
  file: string,
  lineOffset: number,
  problem: T,
): SourceProblem {
  const line = problem.line + lineOffset;
  return { ...problem, file, line, message: `${file}:${line}: ${problem.message}` };
}
