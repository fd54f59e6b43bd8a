/** Reads the manifests that the program ships: those that `kubectl apply -k daemonset/` applies. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { messageOf } from '../base/errors.ts';
import { installErrors } from './errors.ts';
import { isJsonObject, isManifest, type Json, type Manifest } from './manifest.ts';

const MANIFESTS = fileURLToPath(new URL('../../daemonset', import.meta.url));

/**
 * All objects in the order of the files.
 * @param part one of the folders of daemonset/
 * @throws AMBIT_INSTALL_MANIFESTS_UNREADABLE
 */
export function readManifests(part: 'crds' | 'base'): Manifest[] {
  const folder = join(MANIFESTS, part);
  const [kustomization] = readDocuments(join(folder, 'kustomization.yaml'));
  const resources = isJsonObject(kustomization) ? kustomization.resources : undefined;
  if (!Array.isArray(resources)) throw unreadable(`${folder} lists no resources`);
  return resources.flatMap((name: Json) => readObjects(join(folder, String(name))));
}

function readObjects(path: string): Manifest[] {
  return readDocuments(path).map((document) => {
    if (!isManifest(document)) throw unreadable(`${path} holds something that is no object`);
    return document;
  });
}

function readDocuments(path: string): Json[] {
  try {
    return parseAllDocuments(readFileSync(path, 'utf8'))
      .map((document): Json => {
        if (document.errors[0] !== undefined) throw document.errors[0];
        return document.toJS();
      })
      .filter((value) => value !== null);
  } catch (thrown) {
    throw unreadable(`${path} cannot be read: ${messageOf(thrown)}`, thrown);
  }
}

function unreadable(message: string, cause?: unknown): Error {
  return installErrors.AMBIT_INSTALL_MANIFESTS_UNREADABLE(message, cause);
}
