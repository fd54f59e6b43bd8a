/** What a port of a service speaks: from its appProtocol, else from the beginning of its name. */

import type { AppProtocol } from '../../mesh/service.ts';

const PROTOCOLS: Readonly<Record<string, AppProtocol>> = {
  http: 'HTTP11',
  'kubernetes.io/ws': 'HTTP11',
  http2: 'HTTP2',
  h2c: 'HTTP2',
  'kubernetes.io/h2c': 'HTTP2',
  grpc: 'GRPC',
  'grpc-web': 'GRPC',
  tcp: 'TCP',
  mongo: 'TCP',
  mysql: 'TCP',
  redis: 'TCP',
  tls: 'TLS',
  https: 'TLS',
  'kubernetes.io/wss': 'TLS',
};

/** @param name such as `http`, `grpc-orders` */
export function appProtocolOf(name: string | undefined, appProtocol: string | undefined): AppProtocol {
  if (appProtocol !== undefined) return protocolNamed(appProtocol);
  if (name === undefined) return 'UNKNOWN';
  const lower = name.toLowerCase();
  return lower.startsWith('grpc-web') ? 'GRPC' : protocolNamed(lower.split('-', 1)[0]!);
}

/** The protocol field of a ServiceEntry's port. */
export function protocolNamed(text: string): AppProtocol {
  const key = text.toLowerCase();
  return Object.hasOwn(PROTOCOLS, key) ? PROTOCOLS[key]! : 'UNKNOWN';
}
