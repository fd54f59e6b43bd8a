/** Unix sockets that carry whole messages and file descriptors. */

import type { AmbitError } from '../base/errors.ts';
import type { Reactor } from './reactor.ts';

export interface SeqpacketHandler {
  /** `message` is valid during the call only; the descriptors belong to the handler. */
  onMessage(message: Uint8Array, fds: number[]): void;
  onWritable?(): void;
  /** Exactly once. */
  onClosed(error?: AmbitError): void;
}

export declare class SeqpacketSocket {
  private constructor();
  static connect(reactor: Reactor, path: string, handler: SeqpacketHandler): SeqpacketSocket;
  handler: SeqpacketHandler;
  /** False when the message does not fit now: try again after onWritable(). The descriptors stay the caller's. */
  send(message: Uint8Array, fds?: readonly number[]): boolean;
  close(): void;
}

export declare class SeqpacketListener {
  private constructor();
  static listen(
    reactor: Reactor,
    path: string,
    onAccept: (socket: SeqpacketSocket) => void,
  ): SeqpacketListener;
  close(): void;
}
