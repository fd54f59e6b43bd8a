/** Envoy as the other node proxy: ends tunnels in front of an application, and begins them for its clients. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Leaf } from './certificates.ts';
import { envoyProgram } from './envoy-program.ts';
import { eventuallyAnswers } from './eventually.ts';
import { type LivePod, shellInPod } from './mesh-pods.ts';

const ADMIN_PORT = 9901;
const ADMIN = `127.0.0.1:${ADMIN_PORT}`;
const HBONE_PORT = 15008;
/** Where it takes connections to lead them through a tunnel. */
export const ENVOY_ENTRY_PORT = 15101;
const TYPES = 'type.googleapis.com/envoy.extensions';
const START_DEADLINE_MS = 30_000;

export interface EnvoyPeerOptions {
  readonly pod: LivePod;
  readonly leaf: Leaf;
  readonly rootPem: string;
  /** The pod that its tunnels lead to, by address, and the identity that its proxy must have. */
  readonly upstream: { readonly ip: string; readonly port: number; readonly identity: string };
  /** Receive window of streams and of the connection, in bytes; its default when left out. */
  readonly window?: number;
}

export class EnvoyPeer {
  readonly #child: ChildProcess;
  readonly #pod: LivePod;
  readonly #folder: string;

  private constructor(options: EnvoyPeerOptions) {
    this.#pod = options.pod;
    this.#folder = mkdtempSync(join(tmpdir(), 'envoy-'));
    const config = join(this.#folder, 'envoy.json');
    writeFileSync(config, JSON.stringify(configOf(options)));
    // One thread, and no shared memory with others of the same machine; a drain begins at once.
    const flags = ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error'];
    const drain = ['--drain-strategy', 'immediate', '--drain-time-s', '600'];
    const command = [envoyProgram(), '-c', config, ...flags, ...drain];
    this.#child = spawn('ip', ['netns', 'exec', options.pod.netns.name, ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  /** Resolves when it serves. */
  static async start(options: EnvoyPeerOptions): Promise<EnvoyPeer> {
    const envoy = new EnvoyPeer(options);
    const ready = async () => (await envoy.#admin('GET', '/ready')) === 'LIVE\n';
    await eventuallyAnswers('Envoy to serve', ready, START_DEADLINE_MS);
    return envoy;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    rmSync(this.#folder, { recursive: true });
  }

  /** From now on each connection is told to go away when it has answered its next request. */
  async drain(): Promise<void> {
    await this.#admin('POST', '/drain_listeners?graceful&skip_exit');
  }

  /** One of its counters, by its full name. */
  async counter(name: string): Promise<number> {
    const text = await this.#admin('GET', '/stats');
    const line = text.split('\n').find((one) => one.startsWith(`${name}: `));
    if (line === undefined) throw new Error(`Envoy counts no ${name}`);
    return Number(line.slice(name.length + 2));
  }

  #admin(method: string, path: string): Promise<string> {
    return shellInPod(this.#pod, `curl -s -X ${method} 'http://${ADMIN}${path}'`);
  }
}

function configOf(options: EnvoyPeerOptions): object {
  const { pod, upstream } = options;
  return {
    admin: { address: socketAddress('127.0.0.1', ADMIN_PORT) },
    static_resources: {
      listeners: [terminating(options, pod.addresses[0]!), originating(upstream)],
      clusters: [applicationCluster(), tunnelCluster(options)],
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function terminating(options: EnvoyPeerOptions, address: string): object {
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
    address: socketAddress(address, HBONE_PORT),
    filter_chains: [
      {
        filters: [http],
        transport_socket: typed('tls', 'transport_sockets.tls.v3.DownstreamTlsContext', tls),
      },
    ],
  };
}

function originating({ ip, port }: EnvoyPeerOptions['upstream']): object {
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
    original_dst_lb_config: { use_http_header: true, http_header_name: ':authority' },
  };
}

function tunnelCluster(options: EnvoyPeerOptions): object {
  const http2 = { explicit_http_config: { http2_protocol_options: http2Options(options) } };
  const { ip, identity } = options.upstream;
  const endpoint = { endpoint: { address: socketAddress(ip, HBONE_PORT) } };
  const tls = { common_tls_context: tlsContext(options, { exact: identity }) };
  return {
    name: 'tunnel',
    type: 'STATIC',
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

function http2Options({ window }: EnvoyPeerOptions): object {
  const windows = { initial_stream_window_size: window, initial_connection_window_size: window };
  return { allow_connect: true, ...(window !== undefined && windows) };
}

function tlsContext({ leaf, rootPem }: EnvoyPeerOptions, peer: object): object {
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
