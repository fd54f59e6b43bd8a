/** A tracked relay between an application's socket and an HBONE tunnel. */

import type { AmbitError } from '../../base/errors.ts';
import type { Tunnel } from '../../hbone/tunnel.ts';
import { type RelayEnd, TunnelRelay } from '../../hbone/tunnel-relay.ts';
import { Http2ErrorCode, http2ErrorName } from '../../http/http2-error-code.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';
import { errors } from '../errors.ts';
import type { ConnectionDescription, TrackedConnection } from './connection-tracker.ts';
import type { ServedPod } from './served-pod.ts';

/** Joins the two for a pod; on the client's side the socket is the client, on the server's side it is the server. */
export function relayTunnel(
  { context, held }: ServedPod,
  ends: { readonly socket: TcpSocket; readonly tunnel: Tunnel },
  description: ConnectionDescription,
): void {
  let reason: AmbitError | undefined;
  let tracked: TrackedConnection | undefined;
  const clientSide = description.parties.reporter === 'source';
  const relay = new TunnelRelay({
    socket: ends.socket,
    tunnel: ends.tunnel,
    // On the server's side they are counted from before the tunnel stands.
    account: clientSide ? held : undefined,
    onEnd: (end) => tracked?.ended(reason ?? errorOf(end)),
  });
  tracked = context.tracker.opened(description, {
    totals: () =>
      clientSide
        ? { received: relay.sent, sent: relay.received }
        : { received: relay.received, sent: relay.sent },
    cut: (error) => {
      reason = error;
      relay.abort(Http2ErrorCode.connectError);
    },
  });
  relay.start();
}

/** A reset by the application, or by a peer that has no more interest, is a way to end; a lost connection is not. */
function errorOf(end: RelayEnd): AmbitError | undefined {
  if (end.kind === 'overdrawn') {
    return errors.AMBIT_HELD_BYTES_LIMIT(
      'the tunnel was cut: too many bytes wait for applications of the pod',
    );
  }
  if (end.kind !== 'stream-reset') return undefined;
  const { errorCode, origin } = end;
  const gentle: readonly number[] = [
    Http2ErrorCode.noError,
    Http2ErrorCode.cancel,
    Http2ErrorCode.connectError,
  ];
  if (origin === 'peer' && gentle.includes(errorCode)) return undefined;
  return errors.AMBIT_TUNNEL_BROKEN(`the tunnel was cut (${http2ErrorName(errorCode)}, by ${origin})`);
}
