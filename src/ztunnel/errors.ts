/** What can go wrong in the node proxy, and how each error shows in the response_flags label. */

import { type AmbitError, errorCatalogue } from '../base/errors.ts';

export const errors = errorCatalogue({
  AMBIT_ZTUNNEL_CONFIG_INVALID: {
    side: 'config',
    hint: 'Correct the environment variables that the message names and start ztunnel again.',
  },
  AMBIT_HBONE_DIAL_TIMEOUT: {
    side: 'upstream',
    retryable: true,
    hint: 'A NetworkPolicy may be blocking HBONE port 15008 between the two pods.',
  },
  AMBIT_TUNNEL_BROKEN: {
    side: 'upstream',
    hint: 'The other proxy cut the tunnel or was lost: its own log, and the state of its node, say why.',
  },
  AMBIT_POLICY_DENIED: {
    side: 'policy',
    hint: 'Change the AuthorizationPolicy or PeerAuthentication that the message names if this call is meant to be allowed.',
  },
  AMBIT_POLICY_CHANGED: {
    side: 'policy',
    hint: 'A policy that came into force while the connection was open forbids it.',
  },
  AMBIT_POD_REMOVED: {
    side: 'internal',
    hint: 'The pod has left the mesh or has been deleted; its connections are closed.',
  },
  AMBIT_DRAIN_DEADLINE: {
    side: 'internal',
    hint: 'The proxy was told to stop and the connection outlived its grace period.',
  },
  AMBIT_POD_START_FAILED: {
    side: 'internal',
    hint: 'Listeners could not be opened in the pod’s network namespace; it is tried again every few seconds.',
  },
  AMBIT_CONNECTION_LIMIT: {
    side: 'downstream',
    hint: 'The pod holds as many connections as one pod may; find out what opens them.',
  },
  AMBIT_HELD_BYTES_LIMIT: {
    side: 'downstream',
    hint: 'Applications of the pod do not read what is sent to them, on so many connections that the proxy cannot keep it; find out which one hangs.',
  },
  AMBIT_SOCKS5_REFUSED: {
    side: 'downstream',
    hint: 'Applications reach the SOCKS5 port by CONNECT without authentication; something else speaks to it.',
  },
  AMBIT_ZDS_PROTOCOL: {
    side: 'internal',
    hint: 'The node agent and this proxy disagree about their protocol: their versions must match.',
  },
  AMBIT_WORKER_FAILED: {
    side: 'internal',
    hint: 'A reactor thread has stopped; the process ends so that it is restarted whole.',
  },
});

/** Values of the response_flags label, as in Istio's ztunnel. */
export type ResponseFlag =
  | '-'
  | 'DENY'
  | 'CONNECT'
  | 'TLS_FAILURE'
  | 'H2_HANDSHAKE_FAILURE'
  | 'NETWORK_POLICY'
  | 'IDENTITY_ERROR'
  | 'CERT_REVOKED';

const FLAG_OF_CODE: Readonly<Record<string, ResponseFlag>> = {
  AMBIT_POLICY_DENIED: 'DENY',
  AMBIT_POLICY_CHANGED: 'DENY',
  AMBIT_PEER_REVOKED: 'CERT_REVOKED',
  AMBIT_IDENTITY_UNAVAILABLE: 'IDENTITY_ERROR',
  AMBIT_HBONE_DIAL_TIMEOUT: 'NETWORK_POLICY',
};

/** The label value for how a connection ended; `-` for a good end. */
export function responseFlagOf(error: AmbitError | undefined): ResponseFlag {
  if (error === undefined) return '-';
  const known = FLAG_OF_CODE[error.code];
  if (known !== undefined) return known;
  if (error.code.startsWith('AMBIT_TLS')) return 'TLS_FAILURE';
  if (error.code.startsWith('AMBIT_PEER')) return 'IDENTITY_ERROR';
  if (error.code.startsWith('AMBIT_HTTP2')) return 'H2_HANDSHAKE_FAILURE';
  return error.side === 'upstream' ? 'CONNECT' : '-';
}
