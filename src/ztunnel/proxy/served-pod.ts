/** What the handlers of connections know of the pod that they work for. */

import type { AmbitError } from '../../base/errors.ts';
import type { SocketAddress } from '../../base/ip.ts';
import type { SpiffeId } from '../../base/spiffe-id.ts';
import type { HeldAccount } from '../../hbone/held-account.ts';
import type { TcpSocket, TcpSocketHandler } from '../../io/tcp-socket.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { ConnectionDescription } from './connection-tracker.ts';
import type { LimitReporter } from './limit-reporter.ts';
import type { PodInfo } from './messages.ts';
import type { ReactorContext } from './reactor-context.ts';

export interface DialCallbacks {
  onOpen(): void;
  onFailed(error: AmbitError): void;
}

export type FailedConnection = Pick<ConnectionDescription, 'parties' | 'addresses'>;

export interface ServedPod {
  readonly context: ReactorContext;
  readonly info: PodInfo;
  readonly limits: LimitReporter;
  /** What waits for the pod's sockets, all connections together. */
  readonly held: HeldAccount;
  /** The identity that the pod's certificate is for. */
  readonly identity: SpiffeId;
  readonly identityUri: string;
  /** The name under which the control plane describes this pod. */
  readonly workloadUid: string;
  /** Whether the application sees the addresses of its clients. */
  readonly keepsSource: boolean;
  /** Calls back with the workload, or with undefined when the control plane does not tell of it in time. */
  whenWorkloadKnown(callback: (workload: Workload | undefined) => void): void;
  /** The error for the latter. */
  unknownWorkload(): AmbitError;
  /** Connects from inside the pod's namespace; with a source it appears to come from there. */
  connectPlain(remote: SocketAddress, source: SocketAddress | undefined, callbacks: DialCallbacks): TcpSocket;
  /** The same with a handler of one's own, or one that is set right after. */
  connectSocket(
    remote: SocketAddress,
    source: SocketAddress | undefined,
    handler?: TcpSocketHandler,
  ): TcpSocket;
  /** Tells of a connection that failed before it was open. */
  connectionFailed(what: FailedConnection, error: AmbitError): void;
}
