/** The access log: one line when a connection has ended, with the field names that Istio's ztunnel writes. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress } from '../../base/ip.ts';
import { formatSpiffeId } from '../../base/spiffe-id.ts';
import { type LogFields, logger, SharedFields } from '../../telemetry/log.ts';
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
  const { ofSource, ofDestination } = textOf(parties);
  const parts = [
    { 'src.addr': formatSocketAddress(addresses.source) },
    ofSource,
    destinationAddress(addresses),
    ofDestination,
    describeOutcome(parties, outcome),
  ];
  log.logParts(level, 'connection complete', parts);
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
  return {
    'src.addr': formatSocketAddress(addresses.source),
    ...describeSource(parties),
    ...destinationAddress(addresses),
    ...describeDestination(parties),
  };
}

function describeSource({ source, sourceIdentity }: ConnectionParties): LogFields {
  return {
    'src.workload': source?.name,
    'src.namespace': source?.namespace ?? sourceIdentity?.namespace,
    'src.identity': sourceIdentity && formatSpiffeId(sourceIdentity),
    'src.cluster': source?.clusterId,
  };
}

function destinationAddress({ destination, hboneTarget }: ConnectionAddresses): LogFields {
  return { 'dst.addr': formatSocketAddress(destination), 'dst.hbone_addr': hboneTarget };
}

function describeDestination(parties: ConnectionParties): LogFields {
  const { destination, destinationIdentity, service, reporter } = parties;
  return {
    'dst.service': service?.hostname,
    'dst.workload': destination?.name,
    'dst.namespace': destination?.namespace,
    'dst.identity': destinationIdentity && formatSpiffeId(destinationIdentity),
    'dst.cluster': destination?.clusterId,
    direction: reporter === 'source' ? 'outbound' : 'inbound',
  };
}

interface PartiesText {
  readonly ofSource: SharedFields;
  readonly ofDestination: SharedFields;
}

/** What lines of the same parties say of them. */
const texts = new WeakMap<ConnectionParties, PartiesText>();

function textOf(parties: ConnectionParties): PartiesText {
  let text = texts.get(parties);
  if (text === undefined) {
    text = {
      ofSource: new SharedFields(describeSource(parties)),
      ofDestination: new SharedFields(describeDestination(parties)),
    };
    texts.set(parties, text);
  }
  return text;
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
