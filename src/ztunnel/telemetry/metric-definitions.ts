/** Every metric of ztunnel, under the names, kinds and labels that existing dashboards of the field chart. */

import type { MetricDefinition } from '../../telemetry/series-store.ts';

/** Labels of all traffic metrics, in the order in which their values are given. */
export const TRAFFIC_LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_service',
  'destination_service_namespace',
  'destination_service_name',
  'destination_workload',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_cluster',
  'request_protocol',
  'response_flags',
  'connection_security_policy',
] as const;

const DNS_LABELS = [
  'request_query_type',
  'request_protocol',
  'source_canonical_service',
  'source_canonical_revision',
] as const;

const traffic = (name: string, help: string): MetricDefinition => ({
  name: `istio_${name}_total`,
  kind: 'counter',
  help,
  labels: TRAFFIC_LABELS,
});
const counter = (name: string, help: string, labels: readonly string[] = []): MetricDefinition => ({
  name: `istio_${name}_total`,
  kind: 'counter',
  help,
  labels,
});
const gauge = (name: string, help: string, labels: readonly string[] = []): MetricDefinition => ({
  name: `istio_${name}`,
  kind: 'gauge',
  help,
  labels,
});

export const CONNECTIONS_OPENED = 'istio_tcp_connections_opened_total';
export const CONNECTIONS_CLOSED = 'istio_tcp_connections_closed_total';
export const CONNECTIONS_FAILED = 'istio_tcp_connections_failed_total';
export const BYTES_RECEIVED = 'istio_tcp_received_bytes_total';
export const BYTES_SENT = 'istio_tcp_sent_bytes_total';
export const DNS_REQUESTS = 'istio_dns_requests_total';
export const DNS_UPSTREAM_REQUESTS = 'istio_dns_upstream_requests_total';
export const DNS_UPSTREAM_FAILURES = 'istio_dns_upstream_failures_total';
export const DNS_UPSTREAM_SECONDS = 'istio_dns_upstream_request_duration_seconds';
export const SOCKETS_OPEN = 'istio_tcp_sockets_open';
export const ON_DEMAND_DNS = 'istio_on_demand_dns_total';
export const CRL_REJECTIONS = 'istio_crl_policy_rejections_total';
export const HTTP2_PROTECTION = 'ambit_http2_protection_total';
export const HBONE_CONNECTIONS_FAILED = 'ambit_hbone_connections_failed_total';
export const LIMIT_REACHED = 'ambit_limit_reached_total';
export const RESOURCES_HELD = 'ambit_resources_held';

/** Metrics that reactor threads write. */
export const REACTOR_METRICS: readonly MetricDefinition[] = [
  traffic('tcp_connections_opened', 'TCP connections that were accepted.'),
  traffic('tcp_connections_closed', 'TCP connections that ended after having been opened.'),
  traffic('tcp_connections_failed', 'TCP connections that could not be established.'),
  traffic('tcp_received_bytes', 'Bytes of requests: from the client towards the server.'),
  traffic('tcp_sent_bytes', 'Bytes of responses: from the server towards the client.'),
  gauge('tcp_sockets_open', 'Sockets that are open now.', ['reporter']),
  counter('on_demand_dns', 'Host names of workloads that were resolved for a connection.', ['hostname']),
  counter('dns_requests', 'DNS requests from pods.', DNS_LABELS),
  counter('dns_upstream_requests', 'DNS requests that were forwarded to a nameserver.', DNS_LABELS),
  counter('dns_upstream_failures', 'Forwarded DNS requests that got no answer.', DNS_LABELS),
  {
    name: DNS_UPSTREAM_SECONDS,
    kind: 'histogram',
    help: 'Seconds that nameservers took to answer.',
    labels: DNS_LABELS,
    buckets: [0.0005, 0.001, 0.01, 0.1, 1, 5],
  },
  counter('crl_policy_rejections', 'Connections refused or closed because a certificate is revoked.', [
    'reporter',
  ]),
  {
    name: HTTP2_PROTECTION,
    kind: 'counter',
    help: 'Times a limit on what an HTTP/2 peer may do was reached.',
    labels: ['limit'],
  },
  {
    name: HBONE_CONNECTIONS_FAILED,
    kind: 'counter',
    help: 'Connections to the HBONE ports of pods that were refused or ended by an error.',
    labels: ['code'],
  },
  {
    name: LIMIT_REACHED,
    kind: 'counter',
    help: 'Times a limit of this proxy was reached.',
    labels: ['limit'],
  },
  {
    name: RESOURCES_HELD,
    kind: 'gauge',
    help: 'What the data path holds now: HTTP/2 connections, HTTP/2 streams, pooled buffers.',
    labels: ['kind'],
  },
];

/** Metrics that the main thread writes. */
export const CONTROL_METRICS: readonly MetricDefinition[] = [
  gauge('active_proxy_count', 'Pods that this proxy serves.'),
  gauge('pending_proxy_count', 'Pods that could not be served yet and are tried again.'),
  counter('proxies_started', 'Pods that this proxy began to serve.'),
  counter('proxies_stopped', 'Pods that this proxy stopped serving.'),
  counter('xds_connection_terminations', 'Connections to the control plane that ended.', ['reason']),
  counter('xds_message', 'Messages from the control plane.', ['url']),
  counter('xds_message_bytes', 'Bytes of messages from the control plane.', ['url']),
  gauge('build', 'Always 1; the labels tell the build.', ['component', 'tag']),
  { name: 'process_open_fds', kind: 'gauge', help: 'Open file descriptors.', labels: [] },
  { name: 'process_max_fds', kind: 'gauge', help: 'File descriptors that may be open.', labels: [] },
  { name: 'process_resident_memory_bytes', kind: 'gauge', help: 'Resident memory.', labels: [] },
  { name: 'process_cpu_seconds_total', kind: 'counter', help: 'CPU time of all threads.', labels: [] },
  {
    name: 'ambit_certificate_expiry_seconds',
    kind: 'gauge',
    help: 'Seconds until the certificate of an identity expires; negative once it has.',
    labels: ['identity'],
  },
  {
    name: 'ambit_certificates_issued_total',
    kind: 'counter',
    help: 'Certificates that the CA gave, renewals included.',
    labels: [],
  },
  {
    name: 'ambit_certificate_requests_failed_total',
    kind: 'counter',
    help: 'Certificate requests that the CA refused or did not answer.',
    labels: [],
  },
  {
    name: 'ambit_certificates_expired_total',
    kind: 'counter',
    help: 'Certificates that expired before there was another.',
    labels: [],
  },
  { name: 'ambit_reactor_threads', kind: 'gauge', help: 'Reactor threads.', labels: [] },
  {
    name: 'ambit_agent_connected',
    kind: 'gauge',
    help: 'Is 1 while the node agent is connected and has told of its pods.',
    labels: [],
  },
  {
    name: 'ambit_agent_disconnections_total',
    kind: 'counter',
    help: 'Connections to the node agent that ended or could not be made.',
    labels: [],
  },
];

export const ZTUNNEL_METRICS: readonly MetricDefinition[] = [...REACTOR_METRICS, ...CONTROL_METRICS];
