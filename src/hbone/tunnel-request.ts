/** A tunnel that somebody wants: queued for a connection, sent, and sent again once when the connection was dead. */

import type { AmbitError } from '../base/errors.ts';
import type { HeaderList } from '../http/header-list.ts';
import type { ConnectHandler, HboneClient, PendingTunnel } from './hbone-client.ts';
import type { Tunnel } from './tunnel.ts';

export class TunnelRequest implements ConnectHandler {
  readonly #headers: HeaderList;
  readonly #handler: ConnectHandler;
  #pending: PendingTunnel | undefined;
  #client: HboneClient | undefined;
  #retry: (() => void) | undefined;
  #retried = false;
  #done = false;

  constructor(headers: HeaderList, handler: ConnectHandler) {
    this.#headers = headers;
    this.#handler = handler;
  }

  /** Answered, failed or cancelled. */
  get done(): boolean {
    return this.#done;
  }

  /** It has failed once on a connection from the pool, so it wants a new one. */
  get wantsNewConnection(): boolean {
    return this.#retried;
  }

  /** Sends the request; false when the connection has no room. `retry` is how to try again. */
  sendOn(client: HboneClient, retry: () => void): boolean {
    this.#client = client;
    this.#retry = retry;
    this.#pending = client.connect(this.#headers, this);
    return this.#pending !== undefined;
  }

  /** Nobody wants the tunnel any more; the handler is not called. */
  cancel(): void {
    this.#done = true;
    this.#pending?.cancel();
    this.#pending = undefined;
  }

  fail(error: AmbitError): void {
    this.#finish(error, { nothingMoved: true });
  }

  onTunnel(tunnel: Tunnel, headers: HeaderList): void {
    this.#done = true;
    this.#pending = undefined;
    this.#handler.onTunnel(tunnel, headers);
  }

  onFailed(error: AmbitError, details: { readonly status?: number; readonly nothingMoved: boolean }): void {
    this.#pending = undefined;
    if (this.#mayRetry(details.nothingMoved)) {
      this.#retried = true;
      this.#retry?.();
      return;
    }
    this.#finish(error, details);
  }

  /** A connection that never came to life was a failed dial; another one would fail as well. */
  #mayRetry(nothingMoved: boolean): boolean {
    return nothingMoved && !this.#retried && this.#client?.isReady === true;
  }

  #finish(error: AmbitError, details: { readonly status?: number; readonly nothingMoved: boolean }): void {
    if (this.#done) return;
    this.#done = true;
    this.#handler.onFailed(error, details);
  }
}
