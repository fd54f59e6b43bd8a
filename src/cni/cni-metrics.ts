/** What the node agent counts, under Istio's names where Istio has one. */

import type { MetricSet } from '../telemetry/metric-set.ts';
import { SeriesRegistry } from '../telemetry/series-registry.ts';
import { type MetricDefinition, SeriesStore } from '../telemetry/series-store.ts';
import type { EnrolmentFinding, EnrolmentState } from './enrolment-state.ts';

const DEFINITIONS = [
  {
    name: 'nodeagent_reconcile_events_total',
    kind: 'counter',
    help: 'Changes of pods of this node that were looked at.',
    labels: ['type'],
  },
  { name: 'ztunnel_connected', kind: 'gauge', help: 'Connected ztunnels.', labels: [] },
  {
    name: 'istio_cni_plugin_requests_total',
    kind: 'counter',
    help: 'Requests of the CNI plugin by HTTP status.',
    labels: ['response_code'],
  },
  {
    name: 'istio_cni_installs_total',
    kind: 'counter',
    help: 'Installations and repairs of the CNI plugin by result.',
    labels: ['result'],
  },
  {
    name: 'istio_cni_install_ready',
    kind: 'gauge',
    help: '1 while the CNI plugin is installed as it should be.',
    labels: [],
  },
  {
    name: 'ambit_cni_pods',
    kind: 'gauge',
    help: 'Pods of this node that are in the mesh or on their way in or out, by state.',
    labels: ['state'],
  },
  {
    name: 'ambit_cni_findings_total',
    kind: 'counter',
    help: 'Things found wrong in enrolled pods and on the node, which were then repaired.',
    labels: ['kind'],
  },
  {
    name: 'ambit_cni_enrolment_failures_total',
    kind: 'counter',
    help: 'Failed attempts to bring a pod into the wanted state, by error code.',
    labels: ['code'],
  },
] as const satisfies readonly MetricDefinition[];

const STATES: readonly EnrolmentState['kind'][] = ['pending', 'redirected', 'enrolled', 'failed', 'leaving'];

export type PodEventType = 'add' | 'update' | 'delete';

export class CniMetrics {
  readonly #registry: SeriesRegistry;
  readonly #store: SeriesStore;

  /**
   * @param countPods tells how many pods are in each state, at every scrape
   * @param ofSource what the source of objects counts
   */
  constructor(countPods: () => ReadonlyMap<EnrolmentState['kind'], number>, ofSource?: MetricSet) {
    const definitions = [...DEFINITIONS, ...(ofSource?.definitions ?? [])];
    this.#registry = new SeriesRegistry(definitions);
    const store = new SeriesStore(definitions, (entry) => this.#registry.adopt(store.memory, entry));
    this.#store = store;
    this.#registry.beforeCollect(() => ofSource?.collect((...series) => this.#set(...series)));
    this.ztunnelConnections = 0;
    this.setInstallReady(false);
    for (const type of ['add', 'update', 'delete'] as const)
      this.#add('nodeagent_reconcile_events_total', type, 0);
    this.#registry.beforeCollect(() => {
      const counts = countPods();
      for (const state of STATES) this.#set('ambit_cni_pods', [state], counts.get(state) ?? 0);
    });
  }

  set ztunnelConnections(count: number) {
    this.#set('ztunnel_connected', [], count);
  }

  countPodEvent(type: PodEventType): void {
    this.#add('nodeagent_reconcile_events_total', type, 1);
  }

  countInstall(result: string): void {
    this.#add('istio_cni_installs_total', result, 1);
  }

  setInstallReady(isReady: boolean): void {
    this.#set('istio_cni_install_ready', [], isReady ? 1 : 0);
  }

  countPluginRequest(status: number): void {
    this.#add('istio_cni_plugin_requests_total', String(status), 1);
  }

  countFinding(kind: EnrolmentFinding['kind'] | 'probe-rules' | 'probe-set'): void {
    this.#add('ambit_cni_findings_total', kind, 1);
  }

  countFailure(code: string): void {
    this.#add('ambit_cni_enrolment_failures_total', code, 1);
  }

  /** The page that Prometheus reads. */
  render(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    return this.#registry.render(accept);
  }

  #add(metric: string, label: string, amount: number): void {
    this.#store.add(this.#store.series(metric, [label]), amount);
  }

  #set(metric: string, labels: readonly string[], value: number): void {
    this.#store.set(this.#store.series(metric, labels), value);
  }
}
