/** Events (events.k8s.io/v1) where a person looks for them: repeated ones become one with a count. */

import { messageOf } from '../base/errors.ts';
import { KINDS } from '../objects/kinds.ts';
import { type ObjectReference, objectKey } from '../objects/object-source.ts';
import { logger } from '../telemetry/log.ts';
import { apiVersionOf } from './api-discovery.ts';
import { type KubeClient, MERGE_PATCH_TYPE } from './kube-client.ts';
import { hasStatus } from './kube-request-error.ts';
import { microTime } from './lease-election.ts';

const log = logger('kube');

/** An equal event that comes this soon after the last one is counted there, as in client-go. */
const SERIES_MS = 6 * 60_000;
/** Of one object: so many at once, then one in this time (client-go's spam filter). */
const BURST = 25;
const REFILL_MS = 5 * 60_000;
/** Objects and events that are remembered. */
const MAX_REMEMBERED = 4096;
/** Requests under way at the same time; beyond that events are dropped, for they are worth less than anything else. */
const MAX_UNDER_WAY = 32;
/** Limits of the API: longer ones are refused as a whole. */
const MAX_NOTE = 1024;

export interface RecordedEvent {
  readonly regarding: ObjectReference & { readonly uid: string };
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, why: `EnrolmentFailed`. */
  readonly reason: string;
  /** CamelCase, what was done or tried: `Enrol`. */
  readonly action: string;
  /** For people; cut at 1024 characters. */
  readonly note: string;
}

export interface EventRecorderOptions {
  readonly client: KubeClient;
  /** `ambit.io/cni`: who says it. */
  readonly controller: string;
  /** Name of the pod or node it runs as. */
  readonly instance: string;
}

export interface EventRecorderCounters {
  created: number;
  /** Counted in an event that was there. */
  repeated: number;
  /** Too many of one object, or at once. */
  dropped: number;
  failed: number;
}

interface Series {
  readonly path: string;
  count: number;
  lastMs: number;
  created: Promise<boolean>;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Needs `create` and `patch` of events in the namespaces of the objects (of `default` for cluster-scoped ones). */
export class EventRecorder {
  readonly counters: EventRecorderCounters = { created: 0, repeated: 0, dropped: 0, failed: 0 };
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  #underWay = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Never throws and never waits; what cannot be written is counted. */
  record(event: RecordedEvent): void {
    const { regarding, type, reason, action, note } = event;
    if (this.#underWay >= MAX_UNDER_WAY || !this.#takeToken(regarding.uid || objectKey(regarding))) {
      this.counters.dropped++;
      return;
    }
    const key = JSON.stringify([objectKey(regarding), regarding.uid, type, reason, action, note]);
    const series = this.#series.get(key);
    const isRunning = series !== undefined && performance.now() - series.lastMs < SERIES_MS;
    this.#underWay++;
    const writing = isRunning ? this.#repeat(series) : this.#begin(key, event);
    writing.finally(() => {
      this.#underWay--;
    });
  }

  async #begin(key: string, event: RecordedEvent): Promise<void> {
    const { regarding } = event;
    const namespace = regarding.namespace === '' ? 'default' : regarding.namespace;
    const name = `${regarding.name.slice(0, 200)}.${Date.now().toString(16)}${randomHex()}`;
    const path = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
    const created = this.#write(() =>
      this.#options.client.request({ method: 'POST', path, body: this.#eventOf(event, namespace, name) }),
    );
    remember(this.#series, key, { path: `${path}/${name}`, count: 1, lastMs: performance.now(), created });
    if (await created) this.counters.created++;
  }

  async #repeat(series: Series): Promise<void> {
    series.count++;
    series.lastMs = performance.now();
    if (!(await series.created)) return;
    const body = { series: { count: series.count, lastObservedTime: microTime() } };
    const { path } = series;
    const isWritten = await this.#write(() =>
      this.#options.client.request({ method: 'PATCH', path, body, contentType: MERGE_PATCH_TYPE }),
    );
    if (isWritten) this.counters.repeated++;
  }

  async #write(send: () => Promise<unknown>): Promise<boolean> {
    try {
      await send();
      return true;
    } catch (thrown) {
      this.counters.failed++;
      // A namespace that is being deleted takes no events, and an old one may have expired.
      const level = hasStatus(thrown, 403) || hasStatus(thrown, 404) ? 'debug' : 'warn';
      log.log(level, 'an event cannot be written', { reason: messageOf(thrown) });
      return false;
    }
  }

  #eventOf(event: RecordedEvent, namespace: string, name: string): object {
    const { regarding, type, reason, action, note } = event;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name, namespace },
      eventTime: microTime(),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance,
      type,
      reason,
      action,
      note: note.slice(0, MAX_NOTE),
      regarding: {
        apiVersion: apiVersionOf(KINDS[regarding.kind]),
        kind: regarding.kind,
        name: regarding.name,
        ...(regarding.namespace !== '' && { namespace: regarding.namespace }),
        ...(regarding.uid !== '' && { uid: regarding.uid }),
      },
    };
  }

  #takeToken(key: string): boolean {
    const now = performance.now();
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, atMs: now };
    bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.atMs) / REFILL_MS);
    bucket.atMs = now;
    remember(this.#buckets, key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}

/** Keeps what was used last. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value!);
}

function randomHex(): string {
  return Math.floor(Math.random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0');
}
