/** The `forwarded` field (RFC 7239): who connected, and which service was meant. */

import { formatSocketAddress, type SocketAddress } from '../base/ip.ts';

const HOSTNAME = /^[a-z0-9_*.-]{1,253}$/;

/** `for="10.0.0.1:1234";host=cart.shop.svc.cluster.local`. */
export function formatForwarded(source: SocketAddress, host: string | undefined): string {
  const from = `for="${formatSocketAddress(source)}"`;
  return host === undefined ? from : `${from};host=${host}`;
}

/**
 * The first `host` parameter, in lower case; undefined when there is none or it is no host name. It is a hint of
 * the sender: whoever uses it checks that the local workload belongs to that service.
 */
export function parseForwardedHost(text: string): string | undefined {
  for (const pair of splitOutsideQuotes(text)) {
    const cut = pair.indexOf('=');
    if (cut < 0 || pair.slice(0, cut).trim().toLowerCase() !== 'host') continue;
    const value = pair.slice(cut + 1).trim();
    const bare = /^"(.*)"$/.exec(value)?.[1] ?? value;
    const host = bare.toLowerCase();
    return HOSTNAME.test(host) ? host : undefined;
  }
  return undefined;
}

/** Parameters are separated by semicolons, elements by commas; both may occur within quotes. */
function splitOutsideQuotes(text: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === '"') quoted = !quoted;
    if (quoted || (character !== ';' && character !== ',')) continue;
    parts.push(text.slice(start, i));
    start = i + 1;
  }
  parts.push(text.slice(start));
  return parts;
}
