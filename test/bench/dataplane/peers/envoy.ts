/** Envoy: the same protocol as ours, CONNECT over HTTP/2 and mutual TLS on 15008, one connection for many tunnels. */

import { envoyProgram } from '../../../support/envoy-program.ts';
import type { BenchSandbox } from '../bench-sandbox.ts';
import { SINK_PORT } from '../load/load-protocol.ts';
import type { Peer } from './peer.ts';
import { type Credentials, startProxyPair } from './proxy-pair.ts';

const ENTRY_PORT = 15102;
const HBONE_PORT = 15008;
const TYPES = 'type.googleapis.com/envoy.extensions';
/** One thread each; neither shares memory with the other, which is another one on the same machine. */
const FLAGS = ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error'];
/** Its own limit, 1024, is not what is measured. */
const NO_LIMIT = {
  thresholds: [{ max_connections: 65_536, max_pending_requests: 65_536, max_requests: 65_536 }],
};

export function startEnvoy(sandbox: BenchSandbox, closing: DisposableStack): Promise<Peer> {
  const program = envoyProgram();
  const { backIp } = sandbox.plain;
  return startProxyPair(
    {
      name: 'envoy',
      entryPort: ENTRY_PORT,
      command: (file) => [program, '-c', file, ...FLAGS],
      outbound: (own, other) => JSON.stringify(outbound(own, other, backIp)),
      inbound: (own, other) => JSON.stringify(inbound(own, other, backIp)),
    },
    sandbox,
    closing,
  );
}

function outbound(own: Credentials, other: Credentials, backIp: string): object {
  const tunneling = { hostname: `${backIp}:${SINK_PORT}` };
  const proxy = { stat_prefix: 'outbound', cluster: 'back', tunneling_config: tunneling };
  const listener = {
    name: 'outbound',
    address: socketAddress('127.0.0.1', ENTRY_PORT),
    filter_chains: [{ filters: [typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', proxy)] }],
  };
  const endpoint = { endpoint: { address: socketAddress(backIp, HBONE_PORT) } };
  const http2 = { explicit_http_config: { http2_protocol_options: { allow_connect: true } } };
  const options = 'upstreams.http.v3.HttpProtocolOptions';
  const cluster = {
    name: 'back',
    type: 'STATIC',
    circuit_breakers: NO_LIMIT,
    load_assignment: { cluster_name: 'back', endpoints: [{ lb_endpoints: [endpoint] }] },
    typed_extension_protocol_options: {
      [`envoy.extensions.${options}`]: { '@type': `${TYPES}.${options}`, ...http2 },
    },
    transport_socket: typed('tls', 'transport_sockets.tls.v3.UpstreamTlsContext', {
      common_tls_context: tlsContext(own, other),
    }),
  };
  return { static_resources: { listeners: [listener], clusters: [cluster] } };
}

function inbound(own: Credentials, other: Credentials, backIp: string): object {
  const connect = { upgrade_type: 'CONNECT' };
  const route = {
    cluster: 'application',
    timeout: '0s',
    upgrade_configs: [{ ...connect, connect_config: {} }],
  };
  const manager = {
    stat_prefix: 'inbound',
    codec_type: 'HTTP2',
    http2_protocol_options: { allow_connect: true },
    upgrade_configs: [connect],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { connect_matcher: {} }, route }] }],
    },
    http_filters: [typed('router', 'filters.http.router.v3.Router', {})],
  };
  const filter = 'filters.network.http_connection_manager.v3.HttpConnectionManager';
  const tls = { require_client_certificate: true, common_tls_context: tlsContext(own, other) };
  const chain = {
    filters: [typed('http', filter, manager)],
    transport_socket: typed('tls', 'transport_sockets.tls.v3.DownstreamTlsContext', tls),
  };
  const listener = {
    name: 'inbound',
    address: socketAddress(backIp, HBONE_PORT),
    filter_chains: [chain],
  };
  const cluster = {
    name: 'application',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    circuit_breakers: NO_LIMIT,
    original_dst_lb_config: { use_http_header: true, http_header_name: ':authority' },
  };
  return { static_resources: { listeners: [listener], clusters: [cluster] } };
}

function tlsContext({ chain, key, root }: Credentials, other: Credentials): object {
  const version = 'TLSv1_3';
  return {
    alpn_protocols: ['h2'],
    tls_params: { tls_minimum_protocol_version: version, tls_maximum_protocol_version: version },
    tls_certificates: [{ certificate_chain: { filename: chain }, private_key: { filename: key } }],
    validation_context: {
      trusted_ca: { filename: root },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: other.identity } }],
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function typed(name: string, type: string, config: object): object {
  return { name, typed_config: { '@type': `${TYPES}.${type}`, ...config } };
}
