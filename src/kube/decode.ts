/** Makes an object of the mesh out of what the API server sends, or says why that cannot be done. */

import { messageOf } from '../base/errors.ts';
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
  if (TRUSTED.has(kind)) return projected(kind, raw, NO_PROBLEMS);
  const problems = validateManifest(kind, raw).map(({ path, message, severity }) =>
    problemOf(kind, raw, { severity, text: `${formatPath(path)} ${message}` }),
  );
  const isBroken = problems.some(({ severity }) => severity === 'error');
  return isBroken ? { object: undefined, problems } : projected(kind, raw, problems);
}

/** One object that nobody thought of must not keep all others of its kind from being read. */
function projected(kind: ObjectKind, raw: RawObject, problems: readonly SourceProblem[]): DecodedObject {
  try {
    return { object: project(kind, raw), problems };
  } catch (thrown) {
    const problem = problemOf(kind, raw, {
      severity: 'error',
      text: `is not understood: ${messageOf(thrown)}`,
    });
    return { object: undefined, problems: [...problems, problem] };
  }
}

interface Fault {
  readonly severity: 'error' | 'warning';
  readonly text: string;
}

function problemOf(kind: ObjectKind, { metadata }: RawObject, { severity, text }: Fault): SourceProblem {
  const reference = { kind, namespace: metadata.namespace ?? '', name: metadata.name };
  const code = severity === 'error' ? 'AMBIT_OBJECTS_INVALID' : 'AMBIT_OBJECTS_UNKNOWN_FIELD';
  return { code, severity, message: `${objectKey(reference)}: ${text}`, reference };
}
