/** Envoy: the same protocol as ours, CONNECT over HTTP/2 and mutual TLS on 15008, one connection for many tunnels. */

import { ENVOY_ENTRY_PORT, envoyConfig } from '../../../support/envoy-config.ts';
import { envoyProgram } from '../../../support/envoy-program.ts';
import type { BenchSandbox } from '../bench-sandbox.ts';
import { SINK_PORT } from '../load/load-protocol.ts';
import type { Peer } from './peer.ts';
import { type Credentials, startProxyPair } from './proxy-pair.ts';

/** One thread each; neither shares memory with the other, which is another one on the same machine. */
const FLAGS = ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error'];
const LOOPBACK = '127.0.0.1';

export function startEnvoy(sandbox: BenchSandbox, closing: DisposableStack): Promise<Peer> {
  const program = envoyProgram();
  const { backIp } = sandbox.plain;
  return startProxyPair(
    {
      name: 'envoy',
      entryPort: ENVOY_ENTRY_PORT,
      command: (file) => [program, '-c', file, ...FLAGS],
      outbound: (own, other) => configuration(LOOPBACK, own, { ip: backIp, identity: other.identity }),
      inbound: (own, other) => configuration(backIp, own, { ip: LOOPBACK, identity: other.identity }),
    },
    sandbox,
    closing,
  );
}

/** Either could do both; only the calling side begins tunnels, and only the other one ends them. */
function configuration(
  address: string,
  { leaf, rootPem }: Credentials,
  upstream: { readonly ip: string; readonly identity: string },
): string {
  return JSON.stringify(envoyConfig({ address, leaf, rootPem, upstream: { ...upstream, port: SINK_PORT } }));
}
