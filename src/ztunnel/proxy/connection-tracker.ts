/** Every open connection of one reactor thread: live byte counts, re-evaluation of verdicts, cutting. */

import { DenseSet, type Placed } from '../../base/dense-set.ts';
import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress, type SocketAddress } from '../../base/ip.ts';
import { KeyCounts } from '../../base/key-counts.ts';
import type { PolicyConnection } from '../../mesh/policy-subject.ts';
import type { SeriesStore } from '../../telemetry/series-store.ts';
import { responseFlagOf } from '../errors.ts';
import { logCompleted, logFailed, logOpened } from '../telemetry/access-log.ts';
import type { ConnectionAddresses, ConnectionParties, Reporter } from '../telemetry/connection-parties.ts';
import { type KnownParties, PartiesTable } from '../telemetry/parties-table.ts';
import { type ByteTotals, ConnectionTraffic, countFailure } from '../telemetry/traffic-series.ts';
import type { ConnectionProtocol, ConnectionSummary } from './messages.ts';

/** What the policies of the destination judge an inbound connection by. */
export interface Subject extends PolicyConnection {
  readonly workloadUid: string;
}

export interface ConnectionDescription {
  readonly podUid: string;
  readonly parties: ConnectionParties;
  readonly addresses: ConnectionAddresses;
  readonly originalDestination: SocketAddress;
  readonly protocol: ConnectionProtocol;
  /** Only inbound connections are judged by policy. */
  readonly subject?: Subject | undefined;
  /** The peer's verified chain in DER, leaf first, where there is mutual TLS: a revocation is looked up in it. */
  readonly peerChain?: readonly Uint8Array[];
}

/** What moves the bytes of a connection. */
export interface TrackedRelay {
  /**
   * As of now. Not an object with getters: V8 makes a hidden class for each one, in its old generation, from where that
   * holds whatever the getters see until a full collection.
   */
  readonly totals: () => ByteTotals;
  readonly cut: (error: AmbitError) => void;
}

interface BeginningConnection extends Placed {
  readonly podUid: string;
  readonly cut: (error: AmbitError) => void;
}

/** A connection from the moment its destination is known until it has ended. */
export class TrackedConnection implements Placed {
  place = -1;
  readonly description: ConnectionDescription;
  readonly #tracker: ConnectionTracker;
  readonly #parties: ConnectionParties;
  readonly #traffic: ConnectionTraffic;
  readonly #openedAtMs: number;
  readonly #totals: () => ByteTotals;
  readonly #cut: (error: AmbitError) => void;
  #ended = false;

  constructor(tracker: ConnectionTracker, description: ConnectionDescription, relay: TrackedRelay) {
    const { parties, series } = tracker.partiesOf(description);
    this.description = description;
    this.#parties = parties;
    this.#tracker = tracker;
    this.#totals = relay.totals;
    this.#cut = relay.cut;
    this.#openedAtMs = tracker.clock();
    this.#traffic = new ConnectionTraffic(series);
    logOpened(parties, description.addresses);
  }

  /** Ends the connection from our side; `ended` follows when its sockets are closed. */
  cut(error: AmbitError): void {
    this.#cut(error);
  }

  reportBytes(): void {
    this.#traffic.report(this.#totals());
  }

  /** Called by the relay's owner exactly when it is over; later calls change nothing. */
  ended(error: AmbitError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    const parties = this.#parties;
    const totals = this.#totals();
    this.#traffic.report(totals);
    this.#traffic.closed();
    this.#tracker.forget(this);
    if (error !== undefined) countFailure(this.#tracker.store, parties, responseFlagOf(error));
    logCompleted(parties, this.description.addresses, {
      bytesReceived: totals.received,
      bytesSent: totals.sent,
      durationMs: this.#tracker.clock() - this.#openedAtMs,
      error,
    });
  }

  summary(): ConnectionSummary {
    const { podUid, parties, addresses, originalDestination, protocol } = this.description;
    return {
      podUid,
      direction: parties.reporter === 'source' ? 'outbound' : 'inbound',
      src: formatSocketAddress(addresses.source),
      originalDst: formatSocketAddress(originalDestination),
      actualDst: formatSocketAddress(addresses.destination),
      protocol,
    };
  }
}

export class ConnectionTracker {
  readonly store: SeriesStore;
  readonly clock: () => number;
  readonly #parties: PartiesTable;
  readonly #connections = new DenseSet<TrackedConnection>();
  readonly #perPod = new KeyCounts();
  readonly #beginning = new DenseSet<BeginningConnection>();
  readonly #beginningPerPod = new KeyCounts();
  readonly #perReporter: Record<Reporter, number> = { source: 0, destination: 0 };

  /** The clock gives milliseconds that never go back. */
  constructor(store: SeriesStore, clock: () => number) {
    this.store = store;
    this.clock = clock;
    this.#parties = new PartiesTable(store);
  }

  partiesOf(description: ConnectionDescription): KnownParties {
    return this.#parties.of(description.parties);
  }

  get size(): number {
    return this.#connections.size;
  }

  /** Nothing is open, and nothing has been accepted that may still come to be. */
  get isIdle(): boolean {
    return this.#connections.size === 0 && this.#beginningPerPod.isEmpty;
  }

  /**
   * A connection of a pod was accepted; the result is to be called when it has come to be open, or has failed.
   * @param cut makes it fail
   */
  beginning(podUid: string, cut: BeginningConnection['cut']): () => void {
    const one = { podUid, cut, place: -1 };
    this.#beginning.add(one);
    this.#beginningPerPod.add(podUid);
    return () => {
      if (this.#beginning.delete(one)) this.#beginningPerPod.remove(podUid);
    };
  }

  /** Open connections that this proxy sees from that end. */
  countByReporter(reporter: Reporter): number {
    return this.#perReporter[reporter];
  }

  /** Connections of one pod that are open or may still come to be. */
  countOf(podUid: string): number {
    return this.#perPod.of(podUid) + this.#beginningPerPod.of(podUid);
  }

  opened(description: ConnectionDescription, relay: TrackedRelay): TrackedConnection {
    const connection = new TrackedConnection(this, description, relay);
    this.#connections.add(connection);
    this.#perReporter[description.parties.reporter]++;
    this.#perPod.add(description.podUid);
    return connection;
  }

  /** Counts and logs a connection that never came about. */
  failed(parties: ConnectionParties, addresses: ConnectionAddresses, error: AmbitError): void {
    countFailure(this.store, parties, responseFlagOf(error));
    logFailed(parties, addresses, error);
  }

  forget(connection: TrackedConnection): void {
    if (!this.#connections.delete(connection)) return;
    const { podUid, parties } = connection.description;
    this.#perReporter[parties.reporter]--;
    this.#perPod.remove(podUid);
  }

  reportBytes(): void {
    for (const connection of this.#connections) connection.reportBytes();
  }

  /** Cuts every connection for which the judge has an error; the judge must not open or close connections itself. */
  cutWhere(judge: (description: ConnectionDescription) => AmbitError | undefined): number {
    const doomed: [TrackedConnection, AmbitError][] = [];
    for (const connection of this.#connections) {
      const error = judge(connection.description);
      if (error !== undefined) doomed.push([connection, error]);
    }
    for (const [connection, error] of doomed) connection.cut(error);
    return doomed.length;
  }

  /** Cuts everything of a pod, that which may still come to be open too. */
  cutPod(podUid: string, error: AmbitError): void {
    for (const one of [...this.#beginning]) if (one.podUid === podUid) one.cut(error);
    this.cutWhere((one) => (one.podUid === podUid ? error : undefined));
  }

  summaries(): ConnectionSummary[] {
    return [...this.#connections].map((connection) => connection.summary());
  }
}
