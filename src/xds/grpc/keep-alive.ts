/** PING on an HTTP/2 session: a peer that vanished without a word is found out. */

import type { Http2Session } from 'node:http2';

/** As Istio's ztunnel and istiod. */
export const KEEP_ALIVE_INTERVAL_MS = 30_000;
export const KEEP_ALIVE_TIMEOUT_MS = 10_000;

export interface KeepAlive {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export const DEFAULT_KEEP_ALIVE: KeepAlive = {
  intervalMs: KEEP_ALIVE_INTERVAL_MS,
  timeoutMs: KEEP_ALIVE_TIMEOUT_MS,
};

/** Sends a PING every interval and calls `onDead` once when one is not answered in time. Ends with the session. */
export function keepAlive(session: Http2Session, timing: KeepAlive, onDead: () => void): void {
  let waiting: NodeJS.Timeout | undefined;
  const stop = (): void => {
    clearInterval(ticking);
    clearTimeout(waiting);
  };
  const ping = (): void => {
    if (waiting !== undefined || session.closed || session.destroyed) return;
    waiting = setTimeout(() => {
      stop();
      onDead();
    }, timing.timeoutMs).unref();
    session.ping(() => {
      clearTimeout(waiting);
      waiting = undefined;
    });
  };
  const ticking = setInterval(ping, timing.intervalMs).unref();
  session.once('close', stop);
}
