/** Errors of the HTTP layer that an operator may see. */

import { errorCatalogue } from '../base/errors.ts';

export const httpErrors = errorCatalogue({
  AMBIT_HTTP2_DOWNSTREAM_VIOLATION: {
    side: 'downstream',
    hint: 'The client broke RFC 9113; find out what speaks to this port, and keep a packet capture for its authors.',
  },
  AMBIT_HTTP2_UPSTREAM_VIOLATION: {
    side: 'upstream',
    hint: 'The server broke RFC 9113; find out what listens on that port, and keep a packet capture for its authors.',
  },
  AMBIT_HTTP2_FLOOD: {
    side: 'downstream',
    hint: 'The peer went over a flood limit and was cut off; its identity and address are in the log line. Legitimate clients do not come near.',
  },
  AMBIT_HTTP2_UNRESPONSIVE: {
    side: 'upstream',
    retryable: true,
    hint: 'The peer stopped answering (no PING or SETTINGS acknowledgement); its pod or node may be gone, or the network drops packets.',
  },
  AMBIT_HTTP2_CLOSED_BY_PEER: {
    side: 'upstream',
    retryable: true,
    hint: 'The peer closed the connection while streams were open; look at its log at that time.',
  },
});
