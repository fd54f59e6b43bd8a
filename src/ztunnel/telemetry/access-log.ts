/** The access log: one line when a connection has ended, with the field names that Istio's ztunnel writes. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress } from '../../base/ip.ts';
import { formatSpiffeId } from '../../base/spiffe-id.ts';
import { type LogFields, logger } from '../../telemetry/log.ts';
import type { ConnectionAddresses, ConnectionParties } from './connection-parties.ts';

const log = logger('access');

export interface ConnectionOutcome {
  /** From the client towards the server. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  readonly error: AmbitError | undefined;
}

export function logOpened(parties: ConnectionParties, addresses: ConnectionAddresses): void {
  if (log.enabled('debug')) log.debug('connection opened', describe(parties, addresses));
}

/** A connection that was established and has ended, well or not. */
export function logCompleted(
  parties: ConnectionParties,
  addresses: ConnectionAddresses,
  outcome: ConnectionOutcome,
): void {
  const level = outcome.error === undefined ? 'info' : 'error';
  if (!log.enabled(level)) return;
  log.log(level, 'connection complete', {
    ...describe(parties, addresses),
    ...describeOutcome(parties, outcome),
  });
}

/** A connection that never came about. */
export function logFailed(
  parties: ConnectionParties,
  addresses: ConnectionAddresses,
  error: AmbitError,
): void {
  if (!log.enabled('warn')) return;
  const fields = { ...describe(parties, addresses), error: error.message, code: error.code };
  log.warn('connection failed', fields);
}

function describe(parties: ConnectionParties, addresses: ConnectionAddresses): LogFields {
  const { source, destination, sourceIdentity, destinationIdentity } = parties;
  return {
    'src.addr': formatSocketAddress(addresses.source),
    'src.workload': source?.name,
    'src.namespace': source?.namespace ?? sourceIdentity?.namespace,
    'src.identity': sourceIdentity && formatSpiffeId(sourceIdentity),
    'src.cluster': source?.clusterId,
    'dst.addr': formatSocketAddress(addresses.destination),
    'dst.hbone_addr': addresses.hboneTarget,
    'dst.service': parties.service?.hostname,
    'dst.workload': destination?.name,
    'dst.namespace': destination?.namespace,
    'dst.identity': destinationIdentity && formatSpiffeId(destinationIdentity),
    'dst.cluster': destination?.clusterId,
    direction: parties.reporter === 'source' ? 'outbound' : 'inbound',
  };
}

/** Sent and received are seen from the reporter: a client's proxy sends what a server's proxy receives. */
function describeOutcome(parties: ConnectionParties, outcome: ConnectionOutcome): LogFields {
  const outbound = parties.reporter === 'source';
  return {
    bytes_sent: outbound ? outcome.bytesReceived : outcome.bytesSent,
    bytes_recv: outbound ? outcome.bytesSent : outcome.bytesReceived,
    duration: `${Math.round(outcome.durationMs)}ms`,
    error: outcome.error?.message,
    code: outcome.error?.code,
  };
}
