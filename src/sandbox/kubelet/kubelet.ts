/** The kubelet of all nodes: runs the pods that are assigned to them, and removes those that are to go. */

import { messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';
import { referenceTo, type StoredPod } from '../api/kube-object.ts';
import type { ObjectStore } from '../api/object-store.ts';
import { type PodEnvironment, PodRunner } from './pod-runner.ts';

const log = logger('kubelet');

export class Kubelet {
  readonly #store: ObjectStore;
  readonly #environments: ReadonlyMap<string, PodEnvironment>;
  readonly #runners = new Map<string, PodRunner>();
  /** Pods on their way out, with the grace they were given. */
  readonly #ending = new Map<string, number>();

  /** @param environments by node name */
  constructor(store: ObjectStore, environments: ReadonlyMap<string, PodEnvironment>) {
    this.#store = store;
    this.#environments = environments;
  }

  /** The runner of a pod that is there. */
  runnerOf(pod: StoredPod): PodRunner | undefined {
    return this.#runners.get(pod.metadata.uid);
  }

  /** Starts what is new, and ends what is marked as deleted. */
  reconcile(): void {
    for (const pod of this.#store.list('Pod')) {
      const runner = this.#runners.get(pod.metadata.uid);
      runner?.update(pod);
      if (pod.metadata.deletionTimestamp !== undefined) this.#end(pod, runner);
      else if (runner === undefined) this.#start(pod);
    }
  }

  #start(pod: StoredPod): void {
    const environment = this.#environments.get(pod.spec?.nodeName ?? '');
    const { phase } = pod.status ?? {};
    if (environment === undefined || phase === 'Succeeded' || phase === 'Failed') return;
    this.#runners.set(pod.metadata.uid, new PodRunner(environment, pod));
  }

  #end(pod: StoredPod, runner: PodRunner | undefined): void {
    const { uid } = pod.metadata;
    if (runner === undefined) return this.#store.remove(referenceTo(pod));
    const { deletionGracePeriodSeconds: graceSeconds = 0 } = pod.metadata as {
      deletionGracePeriodSeconds?: number;
    };
    const known = this.#ending.get(uid);
    if (known !== undefined && known <= graceSeconds) return;
    this.#ending.set(uid, graceSeconds);
    const ended = runner.stop(graceSeconds * 1000);
    if (known === undefined) void this.#removeAfter(pod, ended);
  }

  async #removeAfter(pod: StoredPod, ended: Promise<void>): Promise<void> {
    try {
      await ended;
    } catch (thrown) {
      log.error('a pod did not end in good order', { pod: pod.metadata.name, error: messageOf(thrown) });
    }
    this.#runners.delete(pod.metadata.uid);
    this.#ending.delete(pod.metadata.uid);
    this.#store.remove(referenceTo(pod));
  }
}
