/** Brings certificates to the reactor threads: one for every identity that has a pod here, renewed for as long. */

import { messageOf } from '../../base/errors.ts';
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import type { CertificateChange, CertificateManager } from '../../identity/certificate-manager.ts';
import { tlsMaterialOf, type WorkloadCertificate } from '../../identity/workload-certificate.ts';
import type { PodInfo, ToReactor } from '../proxy/messages.ts';

export class IdentityFeed {
  readonly #manager: CertificateManager;
  readonly #trustDomain: string;
  readonly #broadcast: (message: ToReactor) => void;

  constructor(manager: CertificateManager, trustDomain: string, broadcast: (message: ToReactor) => void) {
    this.#manager = manager;
    this.#trustDomain = trustDomain;
    this.#broadcast = broadcast;
    manager.onChange((change) => this.#onChange(change));
  }

  /** A pod is served from now on: its certificate is fetched ahead of its first connection. */
  podStarted(pod: PodInfo): void {
    this.#manager.retain(this.#identityOf(pod));
  }

  podStopped(pod: PodInfo): void {
    this.#manager.release(this.#identityOf(pod));
  }

  /** Resolves when the first answer for each of them is there, good or bad. */
  async whenCertified(pods: readonly PodInfo[]): Promise<void> {
    await Promise.allSettled(pods.map((pod) => this.#manager.fetch(this.#identityOf(pod))));
  }

  /** A connection waits for this identity; the answer, good or bad, goes to all threads. */
  async wanted(uri: string): Promise<void> {
    const identity = parseSpiffeId(uri);
    if (identity === undefined) return this.#unavailable(uri, 'it is not a SPIFFE ID');
    try {
      this.#available(await this.#manager.fetch(identity));
    } catch (thrown) {
      this.#unavailable(uri, messageOf(thrown));
    }
  }

  #onChange(change: CertificateChange): void {
    if (change.kind === 'available') this.#available(change.certificate);
    if (change.kind === 'expired') this.#unavailable(formatSpiffeId(change.identity), change.error.message);
    if (change.kind === 'forgotten')
      this.#unavailable(formatSpiffeId(change.identity), 'its last pod has gone');
  }

  #available(certificate: WorkloadCertificate): void {
    const identity = formatSpiffeId(certificate.identity);
    this.#broadcast({
      kind: 'identity',
      material: { kind: 'available', identity, ...tlsMaterialOf(certificate) },
    });
  }

  #unavailable(identity: string, reason: string): void {
    this.#broadcast({ kind: 'identity', material: { kind: 'unavailable', identity, reason } });
  }

  #identityOf(pod: PodInfo): SpiffeId {
    return { trustDomain: this.#trustDomain, namespace: pod.namespace, serviceAccount: pod.serviceAccount };
  }
}
