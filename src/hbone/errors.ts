/** Errors of HBONE tunnels that an operator may see. */

import { errorCatalogue } from '../base/errors.ts';

export const hboneErrors = errorCatalogue({
  AMBIT_HBONE_REFUSED: {
    side: 'upstream',
    hint: 'The other proxy refused the tunnel: 401 is its authorization policy, 400 a wrong destination, 503 an application that does not answer; its access log says more.',
  },
  AMBIT_HBONE_NO_RESPONSE: {
    side: 'upstream',
    hint: 'The other proxy accepted the request and did not answer; look at its log, and at the application behind it.',
  },
  AMBIT_HBONE_CONNECTION_FAILED: {
    side: 'upstream',
    retryable: true,
    hint: 'No HBONE connection came about: check that the destination runs a proxy, and that no NetworkPolicy blocks port 15008.',
  },
  AMBIT_HBONE_CONNECTION_LOST: {
    side: 'upstream',
    retryable: true,
    hint: 'The HBONE connection ended before the tunnel was set up; the other proxy restarted or its pod went away.',
  },
  AMBIT_HBONE_HANDSHAKE_DISPLACED: {
    side: 'downstream',
    hint: 'More TLS handshakes with the pod were begun than ended; find out who opens connections to port 15008 and does not go on.',
  },
  AMBIT_HBONE_POOL_CLOSED: {
    side: 'internal',
    hint: 'The proxy of this pod is shutting down; nothing has to be done.',
  },
});
