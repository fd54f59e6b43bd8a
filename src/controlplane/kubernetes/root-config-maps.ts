/** Publishes the roots of the mesh in a ConfigMap of every namespace, and puts back what others change. */

import { TokenBucket } from '../../base/token-bucket.ts';
import type { KubeClient } from '../../kube/kube-client.ts';
import { hasStatus, KubeRequestError } from '../../kube/kube-request-error.ts';
import { Reflector } from '../../kube/reflector.ts';
import type { RawObject } from '../../kube/watch-event.ts';
import type { ObjectSource } from '../../objects/object-source.ts';
import { logger } from '../../telemetry/log.ts';
import { KeyedQueue, type KeyedQueueCounters } from '../keyed-queue.ts';
import { MANAGED_LABELS } from './managed-labels.ts';

const log = logger('ca');

/** The name under which Istio's components look for it (istio-ambient §5.4). */
export const ROOT_CONFIG_MAP = 'istio-ca-root-cert';
export const ROOT_KEY = 'root-cert.pem';

/** Repairs of one namespace at once, and then one in half a minute: two control planes must not fight without end. */
export const REPAIRS = { burst: 5, perSecond: 1 / 30 } as const;

export interface RootWriteCounters extends KeyedQueueCounters {
  /** Repairs that wait because there were too many of the same namespace. */
  deferred: number;
}

export interface RootConfigMapsOptions {
  readonly client: KubeClient;
  /** Tells of namespaces. */
  readonly source: ObjectSource;
  /** The present roots in PEM. */
  readonly roots: () => string;
  /** Field manager of what this process writes. */
  readonly writer: string;
  readonly counters: RootWriteCounters;
}

/** Needs `list` and `watch` of ConfigMaps of this name, and `create` and `patch` of ConfigMaps. */
export class RootConfigMaps {
  readonly #queue: KeyedQueue;
  readonly #options: RootConfigMapsOptions;
  readonly #reflector: Reflector<string | undefined>;
  /** Namespace → roots that are published there. */
  #published = new Map<string, string | undefined>();
  readonly #repairs = new Map<string, TokenBucket>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #unsubscribe = (): void => {};
  #complete = false;

  constructor(options: RootConfigMapsOptions) {
    this.#options = options;
    this.#queue = new KeyedQueue('root certificates', options.counters);
    this.#reflector = new Reflector<string | undefined>({
      client: options.client,
      path: '/api/v1/configmaps',
      fieldSelector: `metadata.name=${ROOT_CONFIG_MAP}`,
      decode: rootsIn,
      onList: (objects) => {
        this.#published = new Map(objects.map(({ key, object }) => [namespaceOf(key), object]));
        this.#complete = true;
        this.publish();
      },
      onEvents: (events) => {
        for (const { type, key, object } of events) {
          const namespace = namespaceOf(key);
          if (type === 'delete') this.#published.delete(namespace);
          else this.#published.set(namespace, object);
          this.#look(namespace);
        }
      },
    });
  }

  start(): void {
    this.#reflector.start();
    this.#unsubscribe = this.#options.source.subscribe((changes) => {
      for (const { object } of changes) if (object.kind === 'Namespace') this.#look(object.metadata.name);
    });
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#queue.clear();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#reflector.stop();
  }

  /** Looks at all namespaces, such as after a change of roots. */
  publish(): void {
    for (const { metadata } of this.#options.source.list('Namespace')) this.#look(metadata.name);
  }

  #look(namespace: string): void {
    const { source, roots } = this.#options;
    const known = source.get('Namespace', '', namespace);
    if (known === undefined) this.#repairs.delete(namespace);
    const active = known !== undefined && known.metadata.deletionTimestamp === undefined;
    const wanted = this.#complete && active && this.#published.get(namespace) !== roots();
    if (!wanted) this.#queue.forget(namespace);
    else if (!this.#timers.has(namespace)) this.#repair(namespace);
  }

  #repair(namespace: string): void {
    const nowMs = performance.now();
    const repairs = this.#repairs.get(namespace) ?? new TokenBucket(REPAIRS, nowMs);
    this.#repairs.set(namespace, repairs);
    if (repairs.take(nowMs)) return this.#queue.put(namespace, () => this.#write(namespace));
    this.#options.counters.deferred++;
    log.warn('somebody else changes the root certificates all the time', {
      namespace,
      name: ROOT_CONFIG_MAP,
    });
    const retry = setTimeout(() => {
      this.#timers.delete(namespace);
      this.#look(namespace);
    }, repairs.msUntilNext(nowMs));
    this.#timers.set(namespace, retry.unref());
  }

  async #write(namespace: string): Promise<void> {
    const { client, roots, writer } = this.#options;
    const configMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: ROOT_CONFIG_MAP, namespace, labels: MANAGED_LABELS },
      data: { [ROOT_KEY]: roots() },
    };
    try {
      await client.apply(configMap, { fieldManager: writer, force: true });
    } catch (thrown) {
      if (!isOnItsWayOut(thrown)) throw thrown;
    }
  }
}

/** The namespace is gone, or about to be. */
function isOnItsWayOut(thrown: unknown): boolean {
  if (hasStatus(thrown, 404)) return true;
  return (
    thrown instanceof KubeRequestError &&
    thrown.causes.some(({ reason }) => reason === 'NamespaceTerminating')
  );
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function rootsIn(raw: RawObject): string | undefined {
  const data: unknown = 'data' in raw ? raw.data : undefined;
  const value = typeof data === 'object' && data !== null && ROOT_KEY in data ? data[ROOT_KEY] : undefined;
  return typeof value === 'string' ? value : undefined;
}
