/** Joins two plain TCP connections inside the kernel, by splice(2). */

import type { AmbitError } from '../base/errors.ts';
import type { TcpSocket } from './tcp-socket.ts';

export declare class SpliceRelay {
  /** Takes both open sockets over, closes them at the end and calls `onEnd` exactly once. */
  constructor(first: TcpSocket, second: TcpSocket, onEnd: (error: AmbitError | undefined) => void);
  readonly bytesFromFirst: number;
  readonly bytesFromSecond: number;
  /** Resets both. */
  abort(error?: AmbitError): void;
}
