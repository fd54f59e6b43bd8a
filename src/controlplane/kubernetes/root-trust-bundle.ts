/** Publishes the roots of the mesh as a ClusterTrustBundle, where the API server has these. */

import type { KubeClient } from '../../kube/kube-client.ts';
import { logger } from '../../telemetry/log.ts';
import { KeyedQueue, type KeyedQueueCounters } from '../keyed-queue.ts';
import { MANAGED_LABELS } from './managed-labels.ts';

const log = logger('ca');

export const SIGNER_NAME = 'ambit.io/ca';
/** Bundles of a signer begin with its name (KEP-3257). */
export const TRUST_BUNDLE_NAME = 'ambit.io:ca:root';

const GROUP = 'certificates.k8s.io';
/** The newest that is served is used. */
const VERSIONS: readonly string[] = ['v1', 'v1beta1', 'v1alpha1'];
/** What others have changed is put back after this long; the kind may also have been switched on meanwhile. */
const REPEAT_MS = 5 * 60_000;

export interface RootTrustBundleOptions {
  readonly client: KubeClient;
  /** The present roots in PEM. */
  readonly roots: () => string;
  /** Field manager of what this process writes. */
  readonly writer: string;
  readonly counters: KeyedQueueCounters;
}

/** Needs `create` and `patch` of this bundle, and `attest` of the signer. */
export class RootTrustBundle {
  readonly #queue: KeyedQueue;
  readonly #options: RootTrustBundleOptions;
  #timer: NodeJS.Timeout | undefined;
  #isAbsent = false;

  constructor(options: RootTrustBundleOptions) {
    this.#options = options;
    this.#queue = new KeyedQueue('the trust bundle', options.counters);
  }

  start(): void {
    this.#timer = setInterval(() => this.publish(), REPEAT_MS).unref();
    this.publish();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#queue.clear();
  }

  publish(): void {
    this.#queue.put(TRUST_BUNDLE_NAME, () => this.#write());
  }

  async #write(): Promise<void> {
    const { client, roots, writer } = this.#options;
    const apiVersion = await this.#servedVersion();
    if (apiVersion === undefined) return this.#noteAbsence();
    this.#isAbsent = false;
    const bundle = {
      apiVersion,
      kind: 'ClusterTrustBundle',
      metadata: { name: TRUST_BUNDLE_NAME, labels: MANAGED_LABELS },
      spec: { signerName: SIGNER_NAME, trustBundle: roots() },
    };
    await client.apply(bundle, { fieldManager: writer, force: true });
  }

  async #servedVersion(): Promise<string | undefined> {
    for (const version of VERSIONS) {
      const resources = await this.#options.client.resources(`${GROUP}/${version}`);
      if (resources.some(({ name }) => name === 'clustertrustbundles')) return `${GROUP}/${version}`;
    }
    return undefined;
  }

  #noteAbsence(): void {
    if (!this.#isAbsent)
      log.info('the API server has no ClusterTrustBundle; ConfigMaps hold the roots alone');
    this.#isAbsent = true;
  }
}
