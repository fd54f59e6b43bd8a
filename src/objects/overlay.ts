/** What one process has to say about objects whose manifests belong to somebody else: kept beside them, merged on read. */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { objectErrors } from './errors.ts';
import { isObjectKind } from './kinds.ts';
import type { ObjectPatch, ObjectReference } from './object-source.ts';
import { core, isRecord, listOf, mapOf, nonEmptyString, scalar, string } from './schema.ts';

/** Below the folder of manifests; each writer has a folder of its own in it. */
export const OVERLAY_FOLDER = '.overlay';

/** The sum of all patches that one writer made to one object. */
export interface Overlay {
  readonly reference: ObjectReference;
  /** Of the object that was patched: an overlay says nothing about a later object of the same name. */
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string | null>>;
  readonly status: Readonly<Record<string, unknown>>;
}

const TEXT_OR_NULL = scalar(
  'a string or null',
  'strings or null',
  (value) => value === null || typeof value === 'string',
);
const CONDITIONS = listOf(core({ type: nonEmptyString, status: nonEmptyString }, 'type', 'status'));
const OVERLAY = core(
  {
    kind: scalar('a kind', 'kinds', (value) => typeof value === 'string' && isObjectKind(value)),
    namespace: string,
    name: nonEmptyString,
    uid: nonEmptyString,
    annotations: mapOf(TEXT_OR_NULL),
    labels: mapOf(TEXT_OR_NULL),
    status: core({ conditions: CONDITIONS }),
  },
  'kind',
  'namespace',
  'name',
  'uid',
);

/** Reads an overlay file; the reason when it is not one. */
export function parseOverlay(text: string): Overlay | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return messageOf(thrown);
  }
  let reason: string | undefined;
  OVERLAY.check(value, [], (fault) => {
    reason ??= `${fault.path.join('.')} ${fault.message}`.trim();
  });
  return reason ?? overlayOf(value as StoredOverlay);
}

type StoredOverlay = ObjectReference & Partial<Omit<Overlay, 'reference' | 'uid'>> & { uid: string };

function overlayOf(stored: StoredOverlay): Overlay {
  const { kind, namespace, name, uid, annotations = {}, labels = {}, status = {} } = stored;
  return { reference: { kind, namespace, name }, uid, annotations, labels, status };
}

/** `Pod.default.web-1.json`; names of kinds and namespaces have no dots. */
export function overlayFileName(reference: ObjectReference): string {
  return `${reference.kind}.${reference.namespace}.${reference.name}.json`;
}

/** The overlay after a further patch. */
export function patchOverlay(overlay: Overlay, patch: ObjectPatch): Overlay {
  return {
    ...overlay,
    annotations: { ...overlay.annotations, ...patch.annotations },
    labels: { ...overlay.labels, ...patch.labels },
    status: { ...overlay.status, ...patch.status },
  };
}

/**
 * Writes the overlay so that a reader sees the old one or the new one, never a part.
 * @throws AMBIT_OBJECTS_OVERLAY_UNWRITABLE
 */
export function writeOverlay(folder: string, overlay: Overlay): void {
  const { reference, ...rest } = overlay;
  const name = overlayFileName(reference);
  const temporary = join(folder, `.${name}.tmp`);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(temporary, `${JSON.stringify({ ...reference, ...rest }, undefined, 2)}\n`);
    renameSync(temporary, join(folder, name));
  } catch (thrown) {
    throw objectErrors.AMBIT_OBJECTS_OVERLAY_UNWRITABLE(
      `${join(folder, name)} cannot be written: ${messageOf(thrown)}`,
      thrown,
    );
  }
}

export function removeOverlay(folder: string, reference: ObjectReference): void {
  rmSync(join(folder, overlayFileName(reference)), { force: true });
}

/** The fields of an object with the overlays laid over them, in the given order. */
export function applyOverlays(
  fields: Readonly<Record<string, unknown>>,
  overlays: readonly Overlay[],
): Record<string, unknown> {
  const metadata = { ...(isRecord(fields.metadata) ? fields.metadata : {}) };
  let status = isRecord(fields.status) ? fields.status : {};
  for (const overlay of overlays) {
    metadata.annotations = mergeText(metadata.annotations, overlay.annotations);
    metadata.labels = mergeText(metadata.labels, overlay.labels);
    status = mergeStatus(status, overlay.status);
  }
  const merged: Record<string, unknown> = { ...fields, metadata };
  if (Object.keys(status).length > 0) merged.status = status;
  return merged;
}

function mergeText(base: unknown, changes: Readonly<Record<string, string | null>>): unknown {
  if (Object.keys(changes).length === 0) return base;
  const merged = { ...(isRecord(base) ? base : {}), ...changes };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

function mergeStatus(
  base: Record<string, unknown>,
  changes: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base, ...changes };
  if (Array.isArray(changes.conditions)) {
    merged.conditions = mergeConditions(base.conditions, changes.conditions);
  }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

/** A condition keeps its place in the list when a later writer replaces it. */
function mergeConditions(base: unknown, changes: readonly unknown[]): unknown[] {
  const byType = new Map<unknown, unknown>();
  for (const one of [...(Array.isArray(base) ? base : []), ...changes]) {
    byType.set(isRecord(one) ? one.type : undefined, one);
  }
  return [...byType.values()];
}
