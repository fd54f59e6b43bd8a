/** haproxy: TCP over mutual TLS 1.3 with AES-128-GCM, a handshake for each connection. */

import { findProgram } from '../../../../src/sandbox/host/tools.ts';
import type { BenchSandbox } from '../bench-sandbox.ts';
import { SINK_PORT } from '../load/load-protocol.ts';
import type { Peer } from './peer.ts';
import { type Credentials, startProxyPair } from './proxy-pair.ts';

const ENTRY_PORT = 15101;
const TLS_PORT = 15443;
const COMMON = `
global
  maxconn 9000
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-server-options ssl-min-ver TLSv1.3
  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
`;

/** @throws Error where it is not installed */
export function startHaproxy(sandbox: BenchSandbox, closing: DisposableStack): Promise<Peer> {
  const program = findProgram('haproxy');
  if (program === undefined) throw new Error('haproxy is missing (package haproxy)');
  const { backIp } = sandbox.plain;
  return startProxyPair(
    {
      name: 'haproxy',
      entryPort: ENTRY_PORT,
      command: (file) => [program, '-db', '-f', file],
      outbound: (own) => outbound(own, backIp),
      inbound: (own) => inbound(own, backIp),
    },
    sandbox,
    closing,
  );
}

function outbound({ leafFile, rootFile }: Credentials, backIp: string): string {
  return `${COMMON}
listen outbound
  bind 127.0.0.1:${ENTRY_PORT}
  server back ${backIp}:${TLS_PORT} ssl crt ${leafFile} ca-file ${rootFile} verify required no-ssl-reuse
`;
}

function inbound({ leafFile, rootFile }: Credentials, backIp: string): string {
  return `${COMMON}
listen inbound
  bind ${backIp}:${TLS_PORT} ssl crt ${leafFile} ca-file ${rootFile} verify required
  server sink 127.0.0.1:${SINK_PORT}
`;
}
