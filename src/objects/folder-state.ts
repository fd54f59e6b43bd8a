/** What a folder of manifests amounts to: files and overlays go in, objects, changes and problems come out. */

import { createHash } from 'node:crypto';
import { join, relative, sep } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { FileReport } from './folder-files.ts';
import type { KindMap, MeshObject, ObjectKind } from './kinds.ts';
import { EMPTY_FILE, type ManifestFile, parseManifestFile } from './manifest-file.ts';
import type { Manifest } from './manifest-parser.ts';
import type { SourceProblem } from './object-source.ts';
import { type ObjectChange, type ObjectPatch, type ObjectReference, objectKey } from './object-source.ts';
import { applyOverlays, OVERLAY_FOLDER, type Overlay, parseOverlay, patchOverlay } from './overlay.ts';

export interface FolderStateOptions {
  /** As the user named it; problems are told in these terms. */
  readonly folder: string;
  /** The same as an absolute path without links. */
  readonly realFolder: string;
  readonly writer: string;
}

export interface FolderChanges {
  readonly changes: readonly ObjectChange[];
  /** Objects that are gone although this writer has an overlay for them. */
  readonly orphans: readonly ObjectReference[];
}

interface OverlayPlace {
  readonly key: string;
  readonly writer: string;
}

/** Pure bookkeeping: reads and writes nothing. */
export class FolderState {
  readonly #options: FolderStateOptions;
  readonly #files = new Map<string, ManifestFile>();
  /** Object key → file → what that file says of it. */
  readonly #manifests = new Map<string, Map<string, Manifest>>();
  readonly #overlays = new Map<string, Map<string, Overlay>>();
  readonly #overlayPlaces = new Map<string, OverlayPlace>();
  readonly #overlayProblems = new Map<string, SourceProblem>();
  readonly #objects = new Map<string, MeshObject>();
  readonly #kinds = new Map<ObjectKind, Map<string, MeshObject>>();
  readonly #lists = new Map<ObjectKind, readonly MeshObject[]>();
  readonly #generations = new Map<string, { readonly manifest: Manifest; readonly generation: number }>();
  readonly #duplicates = new Set<string>();
  #touched = new Set<string>();

  constructor(options: FolderStateOptions) {
    this.#options = options;
  }

  list<K extends ObjectKind>(kind: K): readonly KindMap[K][] {
    let list = this.#lists.get(kind);
    if (list === undefined) {
      list = [...(this.#kinds.get(kind)?.values() ?? [])];
      this.#lists.set(kind, list);
    }
    return list as readonly KindMap[K][];
  }

  get(key: string): MeshObject | undefined {
    return this.#objects.get(key);
  }

  /** Takes in what was found in the folder. */
  apply(reports: readonly FileReport[]): FolderChanges {
    const hadUnreadable = this.#hasUnreadable();
    this.#touched = new Set();
    for (const report of reports) {
      if (report.path.startsWith(join(this.#options.realFolder, OVERLAY_FOLDER) + sep)) {
        this.#applyOverlayReport(report);
      } else {
        this.#applyManifestReport(report);
      }
    }
    const changes = [...this.#touched].flatMap((key) => this.#refresh(key));
    const suspects = hadUnreadable && !this.#hasUnreadable() ? this.#overlays.keys() : this.#touched;
    // Deletions first: an address may have moved from an object that is gone to a new one.
    changes.sort((a, b) => Number(b.type === 'delete') - Number(a.type === 'delete'));
    return { changes, orphans: this.#orphans(suspects) };
  }

  /** The overlay that a patch leads to; undefined when there is no such object. */
  patched(reference: ObjectReference, patch: ObjectPatch): Overlay | 'unchanged' | undefined {
    const key = objectKey(reference);
    const uid = this.#objects.get(key)?.metadata.uid;
    if (uid === undefined) return undefined;
    const mine = this.#overlays.get(key)?.get(this.#options.writer);
    const base = mine?.uid === uid ? mine : { reference, uid, annotations: {}, labels: {}, status: {} };
    const next = patchOverlay(base, patch);
    return mine !== undefined && isDeepStrictEqual(mine, next) ? 'unchanged' : next;
  }

  /** This overlay has been written: a further patch builds on it, even before it has been read back. */
  remember(overlay: Overlay): void {
    const key = objectKey(overlay.reference);
    this.#setOverlay(key, this.#options.writer, overlay);
  }

  problems(): readonly SourceProblem[] {
    const ofFiles = [...this.#files.values()].flatMap((file) => file.problems);
    return [...ofFiles, ...this.#overlayProblems.values(), ...this.#duplicateProblems()];
  }

  #hasUnreadable(): boolean {
    for (const file of this.#files.values()) if (file.unreadable) return true;
    return false;
  }

  #nameOf(path: string): string {
    return join(this.#options.folder, relative(this.#options.realFolder, path));
  }

  #applyManifestReport(report: FileReport): void {
    const before = this.#files.get(report.path) ?? EMPTY_FILE;
    const after = this.#nextFile(report, before);
    if (after === undefined) this.#files.delete(report.path);
    else this.#files.set(report.path, after);
    for (const [key] of before.manifests) {
      if (after?.manifests.has(key) === true) continue;
      this.#manifests.get(key)?.delete(report.path);
      this.#touched.add(key);
    }
    for (const [key, manifest] of after?.manifests ?? []) {
      const places = this.#manifests.get(key);
      if (places === undefined) this.#manifests.set(key, new Map([[report.path, manifest]]));
      else places.set(report.path, manifest);
      if (before.manifests.get(key)?.fields !== manifest.fields) this.#touched.add(key);
    }
  }

  #nextFile(report: FileReport, before: ManifestFile): ManifestFile | undefined {
    if (report.kind === 'gone') return undefined;
    const file = this.#nameOf(report.path);
    if (report.kind === 'content') return parseManifestFile(file, report.text, before);
    const problem = {
      code: report.code,
      severity: 'error',
      message: `${file}: ${report.reason}`,
      file,
    } as const;
    return { ...before, problems: [problem], unreadable: true };
  }

  #applyOverlayReport(report: FileReport): void {
    const file = this.#nameOf(report.path);
    const place = this.#overlayPlaces.get(report.path);
    const writer = relative(join(this.#options.realFolder, OVERLAY_FOLDER), report.path).split(sep)[0]!;
    const overlay = report.kind === 'content' ? parseOverlay(report.text) : undefined;
    this.#overlayProblems.delete(report.path);
    if (typeof overlay === 'string' || report.kind === 'failed') {
      const reason = typeof overlay === 'string' ? overlay : (report as { reason: string }).reason;
      const message = `${file}: ${reason}`;
      this.#overlayProblems.set(report.path, {
        code: 'AMBIT_OBJECTS_SYNTAX',
        severity: 'error',
        message,
        file,
      });
    } else if (overlay === undefined) {
      if (place !== undefined) this.#setOverlay(place.key, place.writer, undefined);
      this.#overlayPlaces.delete(report.path);
    } else {
      const key = objectKey(overlay.reference);
      this.#overlayPlaces.set(report.path, { key, writer });
      this.#setOverlay(key, writer, overlay);
    }
  }

  #setOverlay(key: string, writer: string, overlay: Overlay | undefined): void {
    const overlays = this.#overlays.get(key) ?? new Map<string, Overlay>();
    if (overlay === undefined) overlays.delete(writer);
    else overlays.set(writer, overlay);
    if (overlays.size > 0) this.#overlays.set(key, overlays);
    else this.#overlays.delete(key);
    this.#touched.add(key);
  }

  /** Builds one object anew and says how it differs from before. */
  #refresh(key: string): ObjectChange[] {
    const previous = this.#objects.get(key);
    const manifest = this.#winner(key);
    if (manifest === undefined) {
      this.#generations.delete(key);
      if (previous === undefined) return [];
      this.#store(key, previous.kind, undefined);
      return [{ type: 'delete', object: previous, previous }];
    }
    const object = this.#build(key, manifest);
    if (previous !== undefined && isDeepStrictEqual(previous, object)) return [];
    this.#store(key, object.kind, object);
    return [{ type: 'upsert', object, ...(previous === undefined ? {} : { previous }) }];
  }

  #store(key: string, kind: ObjectKind, object: MeshObject | undefined): void {
    const ofKind = this.#kinds.get(kind) ?? new Map<string, MeshObject>();
    this.#kinds.set(kind, ofKind);
    this.#lists.delete(kind);
    if (object === undefined) {
      ofKind.delete(key);
      this.#objects.delete(key);
    } else {
      ofKind.set(key, object);
      this.#objects.set(key, object);
    }
  }

  /** Of several files that hold an object the first one by name counts. */
  #winner(key: string): Manifest | undefined {
    const places = this.#manifests.get(key);
    if (places === undefined) return undefined;
    if (places.size > 1) this.#duplicates.add(key);
    else this.#duplicates.delete(key);
    if (places.size > 0) return places.get([...places.keys()].sort()[0]!);
    this.#manifests.delete(key);
    return undefined;
  }

  #build(key: string, manifest: Manifest): MeshObject {
    const { kind, namespace, name } = manifest.reference;
    const given = manifest.fields.metadata as { readonly uid?: string; readonly generation?: number };
    const uid = given.uid ?? derivedUid(key);
    const generation = given.generation ?? this.#generation(key, manifest);
    const overlays = [...(this.#overlays.get(key) ?? [])]
      .filter(([, overlay]) => overlay.uid === uid)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const { apiVersion: _, ...fields } = applyOverlays(
      manifest.fields,
      overlays.map(([, overlay]) => overlay),
    );
    const metadata = { ...(fields.metadata as object), name, namespace, uid, generation };
    return { ...fields, kind, metadata } as unknown as MeshObject;
  }

  /** Counts the changes of the desired state, as the API server does. */
  #generation(key: string, manifest: Manifest): number {
    const known = this.#generations.get(key);
    if (known !== undefined && sameDesiredState(known.manifest, manifest)) return known.generation;
    const generation = (known?.generation ?? 0) + 1;
    this.#generations.set(key, { manifest, generation });
    return generation;
  }

  #orphans(keys: Iterable<string>): ObjectReference[] {
    if (this.#hasUnreadable()) return [];
    const orphans: ObjectReference[] = [];
    for (const key of keys) {
      const mine = this.#overlays.get(key)?.get(this.#options.writer);
      if (mine !== undefined && this.#objects.get(key)?.metadata.uid !== mine.uid) {
        orphans.push(mine.reference);
      }
    }
    return orphans;
  }

  #duplicateProblems(): SourceProblem[] {
    return [...this.#duplicates].flatMap((key) => {
      const places = [...(this.#manifests.get(key) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
      const first = this.#nameOf(places[0]?.[0] ?? '');
      return places.slice(1).map(([path, { reference, line }]) => {
        const file = this.#nameOf(path);
        const message = `${file}:${line}: ${key} is also in ${first}, which wins`;
        return { code: 'AMBIT_OBJECTS_DUPLICATE', severity: 'warning', message, file, line, reference };
      });
    });
  }
}

/** The same in every process that reads the folder. */
function derivedUid(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}

function sameDesiredState(a: Manifest, b: Manifest): boolean {
  if (a === b) return true;
  const { metadata: _a, status: _sa, ...desiredA } = a.fields;
  const { metadata: _b, status: _sb, ...desiredB } = b.fields;
  return isDeepStrictEqual(desiredA, desiredB);
}
