/** What the control thread counts: pods, the stream from the control plane, certificates, the process itself. */

import { VERSION } from '../../base/version.ts';
import type { CertificateManager } from '../../identity/certificate-manager.ts';
import type { SeriesStore } from '../../telemetry/series-store.ts';
import type { DeltaClient } from '../../xds/delta-client.ts';
import type { PodRegistry } from './pod-registry.ts';
import { updateProcessMetrics } from './process-metrics.ts';
import type { ZdsClient } from './zds-client.ts';

export interface MetricSources {
  readonly pods: PodRegistry;
  readonly agent: ZdsClient;
  readonly xds: DeltaClient;
  readonly certificates: CertificateManager;
  readonly reactors: number;
}

/** Copies what others count into series, before each scrape. */
export class ControlMetrics {
  readonly #store: SeriesStore;
  readonly #sources: MetricSources;

  constructor(store: SeriesStore, sources: MetricSources) {
    this.#store = store;
    this.#sources = sources;
    this.#set('istio_build', 1, ['ztunnel', VERSION]);
    this.#set('ambit_reactor_threads', sources.reactors);
  }

  update(): void {
    const { pods, agent, xds, certificates } = this.#sources;
    this.#set('ambit_agent_connected', agent.connected ? 1 : 0);
    this.#set('ambit_agent_disconnections_total', agent.disconnections);
    this.#set('istio_active_proxy_count', pods.active);
    this.#set('istio_pending_proxy_count', pods.pending);
    this.#set('istio_proxies_started_total', pods.startedTotal);
    this.#set('istio_proxies_stopped_total', pods.stoppedTotal);
    const { connectionTerminations, messages, messageBytes } = xds.counters;
    for (const [reason, count] of Object.entries(connectionTerminations)) {
      this.#set('istio_xds_connection_terminations_total', count, [reason]);
    }
    for (const [url, count] of messages) this.#set('istio_xds_message_total', count, [url]);
    for (const [url, bytes] of messageBytes) this.#set('istio_xds_message_bytes_total', bytes, [url]);
    this.#updateCertificates(certificates);
    updateProcessMetrics(this.#store);
  }

  #updateCertificates(certificates: CertificateManager): void {
    // Of the expired too: their certificate is shown no more, and the alert is about them.
    for (const [identity, expiresMs] of certificates.expiries()) {
      this.#set('ambit_certificate_expiry_seconds', (expiresMs - Date.now()) / 1000, [identity]);
    }
    const { issued, failed, expired } = certificates.counters;
    this.#set('ambit_certificates_issued_total', issued);
    this.#set('ambit_certificate_requests_failed_total', failed);
    this.#set('ambit_certificates_expired_total', expired);
  }

  #set(metric: string, value: number, labels: readonly string[] = []): void {
    this.#store.set(this.#store.series(metric, labels), value);
  }
}
