/** A tracked relay between two plain TCP connections. */

import type { AmbitError } from '../../base/errors.ts';
import { SpliceRelay } from '../../io/splice-relay.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';
import type { ConnectionDescription, TrackedConnection } from './connection-tracker.ts';
import type { ReactorContext } from './reactor-context.ts';

/** Joins the two sockets; the kernel moves the bytes, and the tracker learns of the beginning and the end. */
export function relayPlain(
  context: ReactorContext,
  sockets: { readonly client: TcpSocket; readonly server: TcpSocket },
  description: ConnectionDescription,
): void {
  let reason: AmbitError | undefined;
  let tracked: TrackedConnection | undefined;
  const relay = new SpliceRelay(sockets.client, sockets.server, (error) => tracked?.ended(reason ?? error));
  tracked = context.tracker.opened(description, {
    totals: () => ({ received: relay.bytesFromFirst, sent: relay.bytesFromSecond }),
    cut: (error) => {
      reason = error;
      relay.abort(error);
    },
  });
}
