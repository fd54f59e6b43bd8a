/** Makes an object of the mesh out of what the API server sends, or says why that cannot be done. */

import type { MeshObject, ObjectKind } from '../objects/kinds.ts';
import { objectKey, type SourceProblem } from '../objects/object-source.ts';
import { formatPath } from '../objects/schema.ts';
import { validateManifest } from '../objects/validation.ts';
import { project } from './projection.ts';
import type { RawObject } from './watch-event.ts';

export interface DecodedObject {
  /** undefined when it breaks the schema of its kind. */
  readonly object: MeshObject | undefined;
  readonly problems: readonly SourceProblem[];
}

/** Kubernetes has validated its own kinds; the schema of a custom one is whatever has been installed. */
const TRUSTED: ReadonlySet<ObjectKind> = new Set(['Namespace', 'Node', 'Pod', 'Service', 'EndpointSlice']);
const NO_PROBLEMS: readonly SourceProblem[] = [];

export function decodeObject(kind: ObjectKind, raw: RawObject): DecodedObject {
  if (TRUSTED.has(kind)) return { object: project(kind, raw), problems: NO_PROBLEMS };
  const problems = validateManifest(kind, raw).map(({ path, message, severity }): SourceProblem => {
    const { name, namespace = '' } = raw.metadata;
    const reference = { kind, namespace, name };
    const code = severity === 'error' ? 'AMBIT_OBJECTS_INVALID' : 'AMBIT_OBJECTS_UNKNOWN_FIELD';
    return { code, severity, message: `${objectKey(reference)}: ${formatPath(path)} ${message}`, reference };
  });
  const isBroken = problems.some(({ severity }) => severity === 'error');
  return { object: isBroken ? undefined : project(kind, raw), problems };
}
