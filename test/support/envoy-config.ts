/** Envoy's configuration as a node proxy: it ends tunnels in front of an application, and begins them for its clients. */

import type { Leaf } from './certificates.ts';

export const ENVOY_ADMIN_PORT = 9901;
/** Where it takes connections to lead them through a tunnel. */
export const ENVOY_ENTRY_PORT = 15102;
const HBONE_PORT = 15008;
const TYPES = 'type.googleapis.com/envoy.extensions';
/** More than its own 1024, which hides what is to be tested or measured. */
const MANY = 65_536;
const LIMITS = { thresholds: [{ max_connections: MANY, max_pending_requests: MANY, max_requests: MANY }] };

export interface EnvoyConfigOptions {
  /** Where it takes tunnels. */
  readonly address: string;
  readonly leaf: Leaf;
  readonly rootPem: string;
  /** The pod that its tunnels lead to, by address, and the identity that its proxy must have. */
  readonly upstream: { readonly ip: string; readonly port: number; readonly identity: string };
  /** Receive window of streams and of the connection, in bytes; its default when left out. */
  readonly window?: number | undefined;
}

/** To be written as JSON. */
export function envoyConfig(options: EnvoyConfigOptions): object {
  return {
    admin: { address: socketAddress('127.0.0.1', ENVOY_ADMIN_PORT) },
    static_resources: {
      listeners: [terminating(options), originating(options.upstream)],
      clusters: [applicationCluster(), tunnelCluster(options)],
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function terminating(options: EnvoyConfigOptions): object {
  const connect = { upgrade_type: 'CONNECT' };
  const route = {
    cluster: 'application',
    timeout: '0s',
    upgrade_configs: [{ ...connect, connect_config: {} }],
  };
  const manager = {
    stat_prefix: 'inbound',
    codec_type: 'HTTP2',
    drain_timeout: '0.5s',
    http2_protocol_options: http2Options(options),
    upgrade_configs: [connect],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { connect_matcher: {} }, route }] }],
    },
    http_filters: [typed('router', 'filters.http.router.v3.Router', {})],
  };
  const http = typed('http', 'filters.network.http_connection_manager.v3.HttpConnectionManager', manager);
  const tls = {
    require_client_certificate: true,
    common_tls_context: tlsContext(options, { prefix: 'spiffe://cluster.local/' }),
  };
  return {
    name: 'inbound',
    address: socketAddress(options.address, HBONE_PORT),
    filter_chains: [
      {
        filters: [http],
        transport_socket: typed('tls', 'transport_sockets.tls.v3.DownstreamTlsContext', tls),
      },
    ],
  };
}

function originating({ ip, port }: EnvoyConfigOptions['upstream']): object {
  const proxy = {
    stat_prefix: 'outbound',
    cluster: 'tunnel',
    tunneling_config: { hostname: `${ip}:${port}` },
  };
  return {
    name: 'outbound',
    address: socketAddress('127.0.0.1', ENVOY_ENTRY_PORT),
    filter_chains: [{ filters: [typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', proxy)] }],
  };
}

/** Connects to what the authority of a request names. */
function applicationCluster(): object {
  return {
    name: 'application',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    circuit_breakers: LIMITS,
    original_dst_lb_config: { use_http_header: true, http_header_name: ':authority' },
  };
}

function tunnelCluster(options: EnvoyConfigOptions): object {
  const http2 = { explicit_http_config: { http2_protocol_options: http2Options(options) } };
  const { ip, identity } = options.upstream;
  const endpoint = { endpoint: { address: socketAddress(ip, HBONE_PORT) } };
  const tls = { common_tls_context: tlsContext(options, { exact: identity }) };
  return {
    name: 'tunnel',
    type: 'STATIC',
    circuit_breakers: LIMITS,
    load_assignment: { cluster_name: 'tunnel', endpoints: [{ lb_endpoints: [endpoint] }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
        ...http2,
      },
    },
    transport_socket: typed('tls', 'transport_sockets.tls.v3.UpstreamTlsContext', tls),
  };
}

function http2Options({ window }: EnvoyConfigOptions): object {
  const windows = { initial_stream_window_size: window, initial_connection_window_size: window };
  return { allow_connect: true, ...(window !== undefined && windows) };
}

function tlsContext({ leaf, rootPem }: EnvoyConfigOptions, peer: object): object {
  const version = 'TLSv1_3';
  return {
    alpn_protocols: ['h2'],
    tls_params: { tls_minimum_protocol_version: version, tls_maximum_protocol_version: version },
    tls_certificates: [
      {
        certificate_chain: { inline_string: leaf.chainPem },
        private_key: { inline_string: leaf.privateKeyPem },
      },
    ],
    validation_context: {
      trusted_ca: { inline_string: rootPem },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: peer }],
    },
  };
}

function typed(name: string, type: string, config: object): object {
  return { name, typed_config: { '@type': `${TYPES}.${type}`, ...config } };
}
