/** Objects as the whole sandbox sees them: with what agent and control plane have written beside them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObjectKind, KINDS } from '../../objects/kinds.ts';
import {
  applyOverlays,
  OVERLAY_FOLDER,
  type Overlay,
  overlayFileName,
  parseOverlay,
} from '../../objects/overlay.ts';
import { groupOf, type KubeObject } from '../api/kube-object.ts';

/** Read afresh every time: it is only people who ask. */
export class MergedView {
  readonly #folder: string;

  constructor(objects: string) {
    this.#folder = join(objects, OVERLAY_FOLDER);
  }

  merge(objects: readonly KubeObject[]): readonly KubeObject[] {
    const writers = this.#writers();
    return writers.length === 0 ? objects : objects.map((object) => this.#mergeOne(object, writers));
  }

  #mergeOne(object: KubeObject, writers: readonly string[]): KubeObject {
    const { kind, metadata } = object;
    if (!isObjectKind(kind) || KINDS[kind].group !== groupOf(object.apiVersion)) return object;
    const name = overlayFileName({ kind, namespace: metadata.namespace, name: metadata.name });
    const overlays = writers.flatMap((writer) => readOverlay(join(this.#folder, writer, name)));
    const own = overlays.filter((overlay) => overlay.uid === metadata.uid);
    return own.length === 0 ? object : (applyOverlays(object, own) as KubeObject);
  }

  #writers(): readonly string[] {
    try {
      return readdirSync(this.#folder).sort();
    } catch {
      return [];
    }
  }
}

function readOverlay(path: string): readonly Overlay[] {
  try {
    const overlay = parseOverlay(readFileSync(path, 'utf8'));
    return typeof overlay === 'string' ? [] : [overlay];
  } catch {
    return [];
  }
}
