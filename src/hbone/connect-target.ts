/** The `:authority` of a CONNECT request: where the tunnel leads. */

import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../base/ip.ts';

/** An address and port, or the name and port of a service. */
export type ConnectTarget =
  | { readonly kind: 'address'; readonly address: SocketAddress }
  | { readonly kind: 'hostname'; readonly hostname: string; readonly port: number };

/** RFC 1035 §2.3.4. */
const MAX_HOSTNAME = 253;
/** Names of services: DNS labels, perhaps behind a wildcard. */
const HOST_AND_PORT = /^((?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*)(?:\.[a-z0-9_-]+)*):(\d{1,5})$/;
/** Looks like an IPv4 address, so it must be one: `1.2.3.999` is not a name. */
const DOTTED = /^[\d.]+$/;

/** `10.0.0.1:80`, `[fd00::1]:80`, `cart.shop.svc.cluster.local:80`; undefined for anything else, and for port 0. */
export function parseConnectTarget(authority: string): ConnectTarget | undefined {
  const address = parseSocketAddress(authority);
  if (address !== undefined) return address.port === 0 ? undefined : { kind: 'address', address };
  const match = HOST_AND_PORT.exec(authority.toLowerCase());
  if (match === null) return undefined;
  const [, hostname, digits] = match as unknown as [string, string, string];
  const port = Number(digits);
  const isName = hostname.length <= MAX_HOSTNAME && !DOTTED.test(hostname);
  return isName && port > 0 && port <= 65_535 ? { kind: 'hostname', hostname, port } : undefined;
}

export function formatConnectTarget(target: ConnectTarget): string {
  return target.kind === 'address'
    ? formatSocketAddress(target.address)
    : `${target.hostname}:${target.port}`;
}
