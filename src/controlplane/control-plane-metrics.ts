/** What the control plane counts, under Istio's names where Istio has one. */

import { OBJECT_KINDS } from '../objects/kinds.ts';
import { SeriesRegistry } from '../telemetry/series-registry.ts';
import { type MetricDefinition, SeriesStore } from '../telemetry/series-store.ts';
import type { ControlPlaneParts } from './control-plane-parts.ts';

export const CONTROL_PLANE_METRICS = [
  { name: 'pilot_xds', kind: 'gauge', help: 'Connected xDS clients.', labels: [] },
  { name: 'pilot_xds_pushes', kind: 'counter', help: 'Pushes to xDS clients.', labels: ['type'] },
  {
    name: 'pilot_total_xds_rejects',
    kind: 'counter',
    help: 'Pushes that a client refused, wholly or in part.',
    labels: ['type'],
  },
  {
    name: 'citadel_server_success_cert_issuance_count',
    kind: 'counter',
    help: 'Certificates signed for workloads.',
    labels: [],
  },
  {
    name: 'ambit_controlplane_certificates_refused_total',
    kind: 'counter',
    help: 'Requests for certificates that were refused, by error code.',
    labels: ['code'],
  },
  {
    name: 'ambit_controlplane_xds_push_bytes_total',
    kind: 'counter',
    help: 'Bytes pushed to xDS clients.',
    labels: ['type'],
  },
  { name: 'ambit_controlplane_objects', kind: 'gauge', help: 'Objects that are read.', labels: ['kind'] },
  {
    name: 'ambit_controlplane_resources',
    kind: 'gauge',
    help: 'Resources that are served.',
    labels: ['kind'],
  },
  {
    name: 'ambit_controlplane_source_problems',
    kind: 'gauge',
    help: 'Objects and files that cannot be used, or only with a doubt.',
    labels: ['severity'],
  },
  {
    name: 'ambit_controlplane_status_writes_total',
    kind: 'counter',
    help: 'Writes of conditions to objects.',
    labels: ['result'],
  },
  {
    name: 'ambit_controlplane_status_waiting',
    kind: 'gauge',
    help: 'Objects whose conditions wait to be written.',
    labels: [],
  },
  {
    name: 'ambit_controlplane_ca_roots',
    kind: 'gauge',
    help: 'Root certificates that clients are told to trust: two during a rotation.',
    labels: [],
  },
  {
    name: 'ambit_controlplane_ca_expiry_seconds',
    kind: 'gauge',
    help: 'Time until the first certificate of the CA expires; negative afterwards.',
    labels: [],
  },
  {
    name: 'process_resident_memory_bytes',
    kind: 'gauge',
    help: 'Memory of this process that is in RAM.',
    labels: [],
  },
] as const satisfies readonly MetricDefinition[];

type Metric = (typeof CONTROL_PLANE_METRICS)[number]['name'];
type Value = readonly [metric: Metric, label: string | undefined, value: number];

/** Every value is kept somewhere anyway: the page reads them when it is asked for. */
export interface ControlPlaneMetrics {
  render(accept: string | undefined): Promise<{ contentType: string; body: string }>;
}

export function controlPlaneMetrics(parts: ControlPlaneParts): ControlPlaneMetrics {
  const sets = [parts.source.metrics, parts.environment.metrics].filter((set) => set !== undefined);
  const definitions = [...CONTROL_PLANE_METRICS, ...sets.flatMap((set) => set.definitions)];
  const registry = new SeriesRegistry(definitions);
  const store = new SeriesStore(definitions, (entry) => registry.adopt(store.memory, entry));
  registry.beforeCollect(() => {
    for (const set of sets) {
      set.collect((metric, labels, value) => store.set(store.series(metric, labels), value));
    }
    for (const [metric, label, value] of valuesOf(parts)) {
      store.set(store.series(metric, label === undefined ? [] : [label]), value);
    }
  });
  return registry;
}

function* valuesOf({ environment, source, controller, issuing, xds }: ControlPlaneParts): Generator<Value> {
  yield ['pilot_xds', undefined, xds.clientCount()];
  for (const [typeUrl, counters] of xds.counters) {
    const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
    yield ['pilot_xds_pushes', type, counters.pushes];
    yield ['pilot_total_xds_rejects', type, counters.nacks];
    yield ['ambit_controlplane_xds_push_bytes_total', type, counters.pushBytes];
  }
  const { signed, refused } = issuing.service.counters;
  yield ['citadel_server_success_cert_issuance_count', undefined, signed];
  for (const [code, count] of refused) yield ['ambit_controlplane_certificates_refused_total', code, count];
  for (const kind of OBJECT_KINDS) yield ['ambit_controlplane_objects', kind, source.list(kind).length];
  for (const kind of ['workload', 'service', 'authorization'] as const) {
    yield ['ambit_controlplane_resources', kind, controller.compiler.count(kind)];
  }
  for (const severity of ['error', 'warning'] as const) {
    const count = source.problems.filter((problem) => problem.severity === severity).length;
    yield ['ambit_controlplane_source_problems', severity, count];
  }
  const { done, failed } = controller.status.queue.counters;
  yield ['ambit_controlplane_status_writes_total', 'written', done];
  yield ['ambit_controlplane_status_writes_total', 'failed', failed];
  yield ['ambit_controlplane_status_waiting', undefined, controller.status.queue.depth];
  const { trustBundle, expiresMs } = environment.signing.material;
  yield ['ambit_controlplane_ca_roots', undefined, trustBundle.roots.length];
  yield ['ambit_controlplane_ca_expiry_seconds', undefined, (expiresMs - Date.now()) / 1000];
  yield ['process_resident_memory_bytes', undefined, process.memoryUsage.rss()];
}
