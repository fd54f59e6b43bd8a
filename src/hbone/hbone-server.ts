/** The server end of HBONE: verifies who connects, and hands each CONNECT request to whoever decides about it. */

import type { AmbitError } from '../base/errors.ts';
import type { Http2Counters } from '../http/http2-counters.ts';
import type { Http2Settings } from '../http/http2-settings.ts';
import { hboneErrors } from './errors.ts';
import { Handshake, type MakeStream } from './handshake.ts';
import { HboneServerConnection, type InboundConnect } from './hbone-server-connection.ts';
import { hboneServerSettings } from './hbone-settings.ts';
import type { HeldAccount } from './held-account.ts';
import type { ConnectResponder } from './inbound-connect.ts';
import type { SecureStream } from './secure-stream.ts';

/** Whether a peer may talk to us at all. `Peer` is what the caller wants to know about it later. */
export type PeerVerdict<Peer> =
  | { readonly kind: 'trusted'; readonly peer: Peer }
  | { readonly kind: 'refused'; readonly error: AmbitError };

export interface HboneServerOptions<Peer> {
  readonly counters: Http2Counters;
  readonly settings?: Http2Settings;
  /** Handshakes that may be under way at a time; the oldest gives way to a new one. */
  readonly maxHandshakes: number;
  /** Of the bytes that wait for applications. */
  readonly held: HeldAccount;
  /** Called once per connection, after the TLS handshake and before any byte is read. */
  readonly verifyPeer: (chain: Uint8Array[], stream: SecureStream) => PeerVerdict<Peer>;
  readonly onConnect: (request: InboundConnect<Peer>, respond: ConnectResponder) => void;
  /** The peer asks for more tunnels on one connection than it may have. */
  readonly onTunnelRefused?: (stream: SecureStream) => void;
  /** A connection ended, or never came about: then there is no peer. Once for each that was accepted. */
  readonly onConnectionEnd?: (
    stream: SecureStream,
    error: AmbitError | undefined,
    peer: Peer | undefined,
  ) => void;
}

/** All HBONE connections of one or more listeners. */
export class HboneServer<Peer> {
  readonly #options: HboneServerOptions<Peer>;
  readonly #handshakes = new Set<Handshake>();
  readonly #connections = new Set<HboneServerConnection<Peer>>();
  #draining = false;

  constructor(options: HboneServerOptions<Peer>) {
    this.#options = options;
  }

  /** Connections whose peer is verified. */
  get connections(): ReadonlySet<HboneServerConnection<Peer>> {
    return this.#connections;
  }

  /** Connections whose TLS handshake is not done. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** Serves one more stream, such as `(handler) => TlsStream.server(socket, context, handler)`. */
  accept(make: MakeStream): void {
    if (this.#handshakes.size >= this.#options.maxHandshakes) this.#displaceOldest();
    const handshake = new Handshake(make, {
      onOpen: (stream) => {
        this.#handshakes.delete(handshake);
        this.#verify(stream);
      },
      onFailed: (stream, error) => {
        this.#handshakes.delete(handshake);
        this.#options.onConnectionEnd?.(stream, error, undefined);
      },
    });
    this.#handshakes.add(handshake);
  }

  /** Announces to all peers that no more requests are taken; open tunnels go on. */
  startDrain(): void {
    this.#draining = true;
    for (const connection of this.#connections) connection.startDrain();
  }

  /** Ends the connections of such peers, tunnels too. */
  closeWhere(isWanted: (peer: Peer) => boolean): void {
    for (const connection of [...this.#connections]) if (isWanted(connection.peer)) connection.close();
  }

  /** Ends everything at once, open tunnels too. */
  close(): void {
    this.#draining = true;
    for (const handshake of [...this.#handshakes]) handshake.stream.close();
    for (const connection of [...this.#connections]) connection.close();
  }

  /** Honest peers are done within milliseconds; who is not by the time of so many others is not worth the room. */
  #displaceOldest(): void {
    const [oldest] = this.#handshakes;
    const text = `TLS handshake given up: ${this.#options.maxHandshakes} are under way`;
    oldest?.stream.close(hboneErrors.AMBIT_HBONE_HANDSHAKE_DISPLACED(text));
  }

  #verify(stream: SecureStream): void {
    const verdict = this.#options.verifyPeer(stream.peerCertificateChain(), stream);
    if (verdict.kind === 'refused') stream.close(verdict.error);
    else this.#serve(stream, verdict.peer);
  }

  #serve(stream: SecureStream, peer: Peer): void {
    const { counters, settings, held, onConnect, onTunnelRefused, onConnectionEnd } = this.#options;
    const connection = new HboneServerConnection(stream, {
      peer,
      counters,
      settings: settings ?? hboneServerSettings,
      held,
      onConnect,
      onTunnelRefused: () => onTunnelRefused?.(stream),
      onClosed: (error) => {
        this.#connections.delete(connection);
        onConnectionEnd?.(stream, error, peer);
      },
    });
    this.#connections.add(connection);
    connection.start();
    if (this.#draining) connection.startDrain();
  }
}
