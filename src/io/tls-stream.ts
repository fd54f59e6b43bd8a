/** A byte stream over a TCP connection with TLS by OpenSSL. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import type { TlsContext } from '../sys/tls-context.ts';
import type { ByteQueue } from './byte-queue.ts';
import type { ByteStream, ByteStreamHandler } from './byte-stream.ts';
import type { Reactor } from './reactor.ts';
import type { TcpSocket } from './tcp-socket.ts';

export declare class TlsStream implements ByteStream {
  private constructor();
  static client(socket: TcpSocket, context: TlsContext, handler: ByteStreamHandler): TlsStream;
  static server(socket: TcpSocket, context: TlsContext, handler: ByteStreamHandler): TlsStream;
  handler: ByteStreamHandler;
  readonly reactor: Reactor;
  readonly input: ByteQueue;
  readonly output: ByteQueue;
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  readonly alpnProtocol: string | undefined;
  /** DER of the chain that was verified, leaf first, root last; empty before the handshake or without a certificate. */
  peerCertificateChain(): Uint8Array[];
  outputSpace(): number;
  flushSoon(): void;
  pauseInput(): void;
  resumeInput(): void;
  shutdownOutput(): void;
  close(error?: AmbitError): void;
}
