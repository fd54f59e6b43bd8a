/** The fields of a CONNECT request and of its answer, as Istio's proxies write and read them. */

import type { SocketAddress } from '../base/ip.ts';
import { type HeaderField, type HeaderList, headerValue } from '../http/header-list.ts';
import { type Baggage, parseBaggage } from './baggage.ts';
import { type ConnectTarget, parseConnectTarget } from './connect-target.ts';
import { formatForwarded, parseForwardedHost } from './forwarded.ts';
import { parseTraceparent } from './trace-context.ts';

/** Answers to a CONNECT request. */
export const ConnectStatus = {
  ok: 200,
  /** Not CONNECT, or a destination that is not ours. */
  badRequest: 400,
  /** Denied by authorization policy; Istio's proxies use this code. */
  denied: 401,
  /** Workload unknown, name or port unknown, application not reachable. */
  unavailable: 503,
} as const;

/** What an outbound proxy says about a connection. */
export interface ConnectRequest {
  /** Where the tunnel leads: a {@link ConnectTarget} as text. */
  readonly authority: string;
  /** Of the source workload, from {@link formatBaggage}. */
  readonly baggage?: string | undefined;
  /** The application's end of the captured connection. */
  readonly source?: SocketAddress;
  /** The service that was meant, when it was one. */
  readonly serviceHostname?: string | undefined;
  readonly traceparent?: string;
  /** The network of the source; only on the inner request of a tunnel within a tunnel. */
  readonly sourceNetwork?: string | undefined;
}

/** What an inbound proxy reads out of a request; everything but the target is a claim of the peer. */
export class ReceivedConnect {
  readonly target: ConnectTarget;
  readonly sourceNetwork: string | undefined;
  // As text, since few are asked for; and nothing else, since a peer may send 128 fields with a request that waits.
  readonly #baggage: string;
  readonly #forwarded: string;
  readonly #traceparent: string;

  constructor(target: ConnectTarget, headers: HeaderList) {
    this.target = target;
    this.sourceNetwork = headerValue(headers, 'x-forwarded-network');
    this.#baggage = allValues(headers, 'baggage');
    this.#forwarded = allValues(headers, 'forwarded');
    this.#traceparent = headerValue(headers, 'traceparent') ?? '';
  }

  get baggage(): Baggage {
    return parseBaggage(this.#baggage);
  }

  get serviceHostname(): string | undefined {
    return parseForwardedHost(this.#forwarded);
  }

  get traceparent(): string | undefined {
    return parseTraceparent(this.#traceparent);
  }
}

/** Request fields in the order of Istio's ztunnel. */
export function connectHeaders(request: ConnectRequest): HeaderList {
  const headers: HeaderField[] = [
    [':method', 'CONNECT'],
    [':authority', request.authority],
  ];
  if (request.baggage !== undefined) headers.push(['baggage', request.baggage]);
  if (request.source !== undefined) {
    headers.push(['forwarded', formatForwarded(request.source, request.serviceHostname)]);
  }
  if (request.traceparent !== undefined) headers.push(['traceparent', request.traceparent]);
  if (request.sourceNetwork !== undefined) headers.push(['x-forwarded-network', request.sourceNetwork]);
  return headers;
}

/** Undefined for anything that must be answered with 400: not CONNECT, or no target. */
export function parseConnectHeaders(headers: HeaderList): ReceivedConnect | undefined {
  if (headerValue(headers, ':method') !== 'CONNECT') return undefined;
  const target = parseConnectTarget(headerValue(headers, ':authority') ?? '');
  if (target === undefined) return undefined;
  return new ReceivedConnect(target, headers);
}

/** @param baggage of the workload that the tunnel leads to, for the other side's telemetry. */
export function responseHeaders(status: number, baggage?: string): HeaderList {
  const headers: HeaderField[] = [[':status', String(status)]];
  if (baggage !== undefined) headers.push(['baggage', baggage]);
  return headers;
}

/** A field that is sent in several lines means the same as one with commas (RFC 9110 §5.3). */
function allValues(headers: HeaderList, name: string): string {
  let all = '';
  for (const [one, value] of headers) {
    if (one === name) all = all === '' ? value : `${all},${value}`;
  }
  return all;
}
