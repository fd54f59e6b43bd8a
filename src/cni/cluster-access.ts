/** What the agent asks and tells the API server beside reading objects; absent where objects come out of a folder. */

import { type AmbitError, messageOf } from '../base/errors.ts';
import { EventRecorder } from '../kube/event-recorder.ts';
import type { KubeClient } from '../kube/kube-client.ts';
import { logger } from '../telemetry/log.ts';
import { removeNotReadyTaint } from './node-taint.ts';
import type { PodFacts } from './pod-facts.ts';

const CONTROLLER = 'ambit.io/cni';
/** A pod waits for this answer. */
const LABELS_TIMEOUT_MS = 1_000;

const log = logger('cni');

export class ClusterAccess {
  readonly client: KubeClient;
  readonly #node: string;
  readonly #events: EventRecorder;

  constructor(client: KubeClient, node: string) {
    this.client = client;
    this.#node = node;
    this.#events = new EventRecorder({ client, controller: CONTROLLER, instance: node });
  }

  /** As they are now, which a watch may not have told yet; undefined when that cannot be found out. */
  async namespaceLabels(name: string): Promise<Readonly<Record<string, string>> | undefined> {
    try {
      const { metadata } = await this.client.request<{
        readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
      }>({ path: `/api/v1/namespaces/${name}`, timeoutMs: LABELS_TIMEOUT_MS });
      return metadata.labels ?? {};
    } catch (thrown) {
      log.warn('labels of a namespace not confirmed', { namespace: name, error: messageOf(thrown) });
      return undefined;
    }
  }

  /** An Event on a pod that belongs into the mesh and does not get there. */
  reportFailure({ namespace, name, uid }: PodFacts, error: AmbitError): void {
    this.#events.record({
      regarding: { kind: 'Pod', namespace, name, uid },
      type: 'Warning',
      reason: 'EnrolmentFailed',
      action: 'Enrol',
      note: `${error.code}: ${error.message}. ${error.hint}`,
    });
  }

  /** Never rejects. @returns whether the node is without the taint now */
  async removeTaint(): Promise<boolean> {
    try {
      await removeNotReadyTaint(this.client, this.#node);
      return true;
    } catch (thrown) {
      log.error('taint not removed', { node: this.#node, error: messageOf(thrown) });
      return false;
    }
  }
}
