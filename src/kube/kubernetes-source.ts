/** An ObjectSource that is a Kubernetes API server. */

import { messageOf } from '../base/errors.ts';
import { KINDS, type KindMap, type MeshObject, type ObjectKind } from '../objects/kinds.ts';
import type {
  ObjectChange,
  ObjectListener,
  ObjectPatch,
  ObjectReference,
  ObjectSource,
  SourceProblem,
} from '../objects/object-source.ts';
import { logger } from '../telemetry/log.ts';
import type { MetricSet } from '../telemetry/metric-set.ts';
import { apiVersionOf, groupPath } from './api-discovery.ts';
import { type DecodedObject, decodeObject } from './decode.ts';
import { isInstalled } from './installed-kinds.ts';
import type { KubeClient } from './kube-client.ts';
import { KUBE_METRICS, tellKind, tellWrites } from './kube-metrics.ts';
import { ObjectView } from './object-view.ts';
import { ObjectWriter } from './object-writer.ts';
import { type ReflectedEvent, type ReflectedObject, Reflector, type ReflectorTiming } from './reflector.ts';

const log = logger('kube');

/** Changes that come this close together are one batch. */
const BATCH_MS = 10;

export interface KubernetesSourceOptions {
  /** Kinds to read; others are empty. */
  readonly kinds: readonly ObjectKind[];
  /** Such as `spec.nodeName=worker` for the pods of one node. */
  readonly fieldSelectors?: Partial<Readonly<Record<ObjectKind, string>>>;
  /** Field manager of what this process writes, such as `ambit-controlplane`. */
  readonly writer: string;
  readonly timing?: Partial<ReflectorTiming>;
}

/** What has been told of one kind and is not in the view yet. */
type Pending =
  | { readonly type: 'list'; readonly objects: readonly ReflectedObject<DecodedObject>[] }
  | { readonly type: 'events'; readonly events: readonly ReflectedEvent<DecodedObject>[] };

interface KindReader {
  readonly kind: ObjectKind;
  readonly reflector: Reflector<DecodedObject>;
  readonly view: ObjectView;
  pending: Pending[];
}

/**
 * What it needs to be allowed is in docs/kubernetes-api.md. Kinds of the mesh and of the Gateway API that are not
 * installed are empty until they are.
 */
export class KubernetesSource implements ObjectSource {
  readonly metrics: MetricSet = {
    definitions: KUBE_METRICS,
    collect: (tell) => {
      for (const { kind, reflector, view } of this.#readers.values()) {
        const { state, counters } = reflector;
        tellKind({ kind, state, counters, invalid: view.problems().length }, tell);
      }
      tellWrites(this.#writer.counters, tell);
    },
  };
  readonly #readers: ReadonlyMap<ObjectKind, KindReader>;
  readonly #listeners = new Set<ObjectListener>();
  readonly #writer: ObjectWriter;
  #flushTimer: NodeJS.Timeout | undefined;
  #isTelling = false;
  #knownProblems = new Set<string>();

  constructor(client: KubeClient, options: KubernetesSourceOptions) {
    this.#writer = new ObjectWriter({
      client,
      fieldManager: options.writer,
      known: (reference) => this.#known(reference),
    });
    const readers = options.kinds.map((kind): [ObjectKind, KindReader] => [
      kind,
      this.#reader(client, kind, options),
    ]);
    this.#readers = new Map(readers);
  }

  /** Waits for as long as it takes: an API server that cannot be reached now will be. @throws AMBIT_KUBE_STOPPED */
  async start(): Promise<void> {
    const readers = [...this.#readers.values()];
    for (const { reflector } of readers) reflector.start();
    await Promise.all(readers.map(({ reflector }) => reflector.synced));
    clearTimeout(this.#flushTimer);
    this.#takePending();
    this.#isTelling = true;
  }

  stop(): void {
    this.#isTelling = false;
    clearTimeout(this.#flushTimer);
    this.#writer.stop();
    for (const { reflector } of this.#readers.values()) void reflector.stop();
  }

  list<K extends ObjectKind>(kind: K): readonly KindMap[K][] {
    return (this.#readers.get(kind)?.view.list() ?? []) as readonly KindMap[K][];
  }

  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined {
    return this.#readers.get(kind)?.view.get(viewKey(namespace, name)) as KindMap[K] | undefined;
  }

  subscribe(listener: ObjectListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws AMBIT_OBJECT_NOT_FOUND, and as {@link KubeClient.request} */
  patch(reference: ObjectReference, patch: ObjectPatch): Promise<void> {
    return this.#writer.patch(reference, patch);
  }

  get problems(): readonly SourceProblem[] {
    return [...this.#readers.values()].flatMap(({ kind, reflector, view }) => [
      ...readingProblems(kind, reflector),
      ...view.problems(),
    ]);
  }

  #reader(client: KubeClient, kind: ObjectKind, options: KubernetesSourceOptions): KindReader {
    const { plural, namespaced } = KINDS[kind];
    const apiVersion = apiVersionOf(KINDS[kind]);
    const fieldSelector = options.fieldSelectors?.[kind];
    const reflector = new Reflector<DecodedObject>({
      client,
      path: `${groupPath(apiVersion)}/${plural}`,
      fieldSelector,
      // What is few is taken out of the server's memory; what is many in pages, which older servers take from etcd.
      fromCache: fieldSelector !== undefined || !namespaced,
      decode: (raw) => decodeObject(kind, raw),
      onList: (objects) => this.#note(reader, { type: 'list', objects }),
      onEvents: (events) => this.#note(reader, { type: 'events', events }),
      isAbsent: async () => !(await isInstalled(client, kind)),
      ...(options.timing !== undefined && { timing: options.timing }),
    });
    const reader: KindReader = { kind, reflector, view: new ObjectView(), pending: [] };
    return reader;
  }

  #note(reader: KindReader, pending: Pending): void {
    reader.pending.push(pending);
    if (this.#isTelling) this.#flushTimer ??= setTimeout(() => this.#flush(), BATCH_MS);
  }

  #flush(): void {
    this.#flushTimer = undefined;
    const changes = this.#takePending();
    if (changes.length === 0 || !this.#isTelling) return;
    for (const listener of [...this.#listeners]) {
      try {
        listener(changes);
      } catch (thrown) {
        log.error('a listener for object changes failed', { reason: messageOf(thrown) });
      }
    }
  }

  #takePending(): ObjectChange[] {
    const changes: ObjectChange[] = [];
    for (const reader of this.#readers.values()) {
      const { pending, view } = reader;
      reader.pending = [];
      for (const one of pending) {
        if (one.type === 'list') view.replace(one.objects);
        else for (const event of one.events) view.apply(event);
      }
      changes.push(...view.takeChanges());
    }
    this.#logProblems();
    // Deletions first: an address may have moved from an object that is gone to a new one.
    return changes.sort((a, b) => Number(b.type === 'delete') - Number(a.type === 'delete'));
  }

  /** Each fault of an object once, for as long as it lasts. */
  #logProblems(): void {
    const before = this.#knownProblems;
    this.#knownProblems = new Set();
    for (const { view } of this.#readers.values()) {
      for (const { code, severity, message } of view.problems()) {
        if (!before.has(message)) log.log(severity === 'error' ? 'error' : 'warn', message, { code });
        this.#knownProblems.add(message);
      }
    }
  }

  #known({
    kind,
    namespace,
    name,
  }: ObjectReference): { object: MeshObject; resourceVersion: string } | undefined {
    const view = this.#readers.get(kind)?.view;
    const key = viewKey(namespace, name);
    const object = view?.get(key);
    const resourceVersion = view?.resourceVersion(key);
    return object === undefined || resourceVersion === undefined ? undefined : { object, resourceVersion };
  }
}

function viewKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

function readingProblems(kind: ObjectKind, { failure }: Reflector<DecodedObject>): readonly SourceProblem[] {
  if (failure === undefined) return [];
  const message = `${kind} objects cannot be read now, the last known ones stay in force: ${failure.message}`;
  return [{ code: failure.code, severity: 'error', message }];
}
