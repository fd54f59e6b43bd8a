/** Tells of what is wrong with objects by Events on them, each time that changes. */

import type { EventRecorder, RecordedEvent } from '../../kube/event-recorder.ts';
import type { MeshObject } from '../../objects/kinds.ts';
import { type ObjectSource, referenceOf, type SourceProblem } from '../../objects/object-source.ts';
import type { DesiredCondition } from '../compile/desired-condition.ts';
import { wantsAllocatedAddresses } from '../compile/service-entry.ts';
import type { MeshController } from '../mesh-controller.ts';

/** What the source cannot use is looked at this often. */
const PROBLEMS_MS = 5000;
/** Conditions that are bad news when they are true; all others are when they are false. */
const BAD_WHEN_TRUE: ReadonlySet<string> = new Set(['istio.io/WaypointMissing']);

export interface ObjectEventsOptions {
  readonly recorder: EventRecorder;
  readonly source: ObjectSource;
  readonly controller: MeshController;
}

export class ObjectEvents {
  readonly #options: ObjectEventsOptions;
  /** Object key → what was told of it last. */
  readonly #told = new Map<string, string>();
  #problems = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe = (): void => {};

  constructor(options: ObjectEventsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#unsubscribe = this.#options.controller.onVerdict((key, object, conditions) =>
      this.#note(key, object, conditions),
    );
    this.#timer = setInterval(() => this.#noteProblems(), PROBLEMS_MS).unref();
  }

  stop(): void {
    this.#unsubscribe();
    clearInterval(this.#timer);
  }

  #note(key: string, object: MeshObject | undefined, conditions: readonly DesiredCondition[]): void {
    const bad = object === undefined ? [] : [...conditions.filter(isBad), ...withoutAddress(object)];
    const text = bad.map(({ reason, message }) => `${reason}: ${message}`).join('\n');
    if ((this.#told.get(key) ?? '') === text) return;
    if (text === '') this.#told.delete(key);
    else this.#told.set(key, text);
    if (object === undefined) return;
    for (const { type, reason, message } of bad) {
      this.#record({ ...referenceOf(object), uid: object.metadata.uid }, reason, `${message} (${type})`);
    }
  }

  /** What breaks its own schema is not among the objects that are compiled. */
  #noteProblems(): void {
    const problems = this.#options.source.problems.filter(({ severity }) => severity === 'error');
    for (const problem of problems) if (!this.#problems.has(problem.message)) this.#noteProblem(problem);
    this.#problems = new Set(problems.map(({ message }) => message));
  }

  #noteProblem({ reference, message, code }: SourceProblem): void {
    if (reference !== undefined) this.#record({ ...reference, uid: '' }, 'Invalid', `${message} (${code})`);
  }

  #record(regarding: RecordedEvent['regarding'], reason: string, note: string): void {
    this.#options.recorder.record({ regarding, type: 'Warning', reason, action: 'Compile', note });
  }
}

function isBad({ type, status }: DesiredCondition): boolean {
  return BAD_WHEN_TRUE.has(type) ? status === 'True' : status === 'False';
}

/** Nothing tells connections to such hosts apart from others: they are not part of the mesh. */
function withoutAddress(
  object: MeshObject,
): readonly Pick<DesiredCondition, 'type' | 'reason' | 'message'>[] {
  if (object.kind !== 'ServiceEntry' || (object.spec.addresses ?? []).length > 0) return [];
  if (wantsAllocatedAddresses(object)) return [];
  const hosts = object.spec.hosts.join(', ');
  const message = `${hosts} has no address, and gets none: give spec.addresses, or a resolution other than NONE without switching allocation off`;
  return [{ type: 'spec.addresses', reason: 'NoAddress', message }];
}
