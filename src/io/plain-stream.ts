/** A byte stream over a TCP connection without encryption. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import type { ByteQueue } from './byte-queue.ts';
import type { ByteStream, ByteStreamHandler } from './byte-stream.ts';
import type { Reactor } from './reactor.ts';
import type { TcpSocket } from './tcp-socket.ts';

export declare class PlainStream implements ByteStream {
  constructor(socket: TcpSocket, handler: ByteStreamHandler);
  handler: ByteStreamHandler;
  readonly reactor: Reactor;
  readonly input: ByteQueue;
  readonly output: ByteQueue;
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  outputSpace(): number;
  flushSoon(): void;
  pauseInput(): void;
  resumeInput(): void;
  shutdownOutput(): void;
  close(error?: AmbitError): void;
}
