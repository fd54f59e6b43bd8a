import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AmbitError } from '../../../src/base/errors.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { errors } from '../../../src/ztunnel/errors.ts';
import {
  type ConnectionDescription,
  ConnectionTracker,
} from '../../../src/ztunnel/proxy/connection-tracker.ts';
import {
  BYTES_RECEIVED,
  BYTES_SENT,
  CONNECTIONS_CLOSED,
  CONNECTIONS_FAILED,
  CONNECTIONS_OPENED,
} from '../../../src/ztunnel/telemetry/metric-definitions.ts';
import { addresses, description, parties } from './connections.ts';
import { SeriesPage } from './series-page.ts';

setLogLevels('access=off');

function bench() {
  const page = new SeriesPage();
  const tracker = new ConnectionTracker(page.store, () => 0);
  const open = (fields: Partial<ConnectionDescription> = {}) => {
    const totals = { received: 0, sent: 0 };
    const cuts: AmbitError[] = [];
    const connection = tracker.opened(description(fields), {
      totals: () => totals,
      cut: (error) => cuts.push(error),
    });
    return { totals, cuts, connection };
  };
  const counts = () =>
    [CONNECTIONS_OPENED, CONNECTIONS_CLOSED, CONNECTIONS_FAILED].map((metric) => page.sum(metric));
  return { page, tracker, open, counts };
}

const denied = errors.AMBIT_POLICY_CHANGED('a policy changed');

test('a connection is counted as opened when it opens and as closed exactly once', () => {
  const { open, counts } = bench();
  const { connection } = open();
  assert.deepEqual(counts(), [1, 0, 0]);
  for (let i = 0; i < 3; i++) connection.ended(undefined);
  assert.deepEqual(counts(), [1, 1, 0]);
});

test('a connection that ended by an error is closed, and failed under the flag of the first error', () => {
  const { open, counts, page } = bench();
  const { connection } = open();
  connection.ended(denied);
  connection.ended(errors.AMBIT_TUNNEL_BROKEN('later'));
  assert.deepEqual(counts(), [1, 1, 1]);
  assert.equal(page.sum(CONNECTIONS_FAILED, { response_flags: 'DENY' }), 1);
  assert.equal(page.sum(CONNECTIONS_CLOSED, { response_flags: '-' }), 1);
});

test('a connection that never came about counts as failed and as nothing else', () => {
  const { tracker, counts, page } = bench();
  tracker.failed(parties(), addresses(), errors.AMBIT_HBONE_DIAL_TIMEOUT('nobody there'));
  assert.deepEqual(counts(), [0, 0, 1]);
  assert.equal(page.sum(CONNECTIONS_FAILED, { response_flags: 'NETWORK_POLICY' }), 1);
  assert.equal(tracker.size, 0);
});

test('bytes are counted once each, however often they are reported', () => {
  const reports = fc.array(fc.tuple(fc.nat(1e6), fc.nat(1e6), fc.nat(3)));
  fc.assert(
    fc.property(reports, (steps) => {
      const { page, tracker, open } = bench();
      const { connection, totals } = open();
      for (const [received, sent, times] of steps) {
        totals.received += received;
        totals.sent += sent;
        for (let i = 0; i < times; i++) tracker.reportBytes();
      }
      connection.ended(undefined);
      totals.received += 1;
      tracker.reportBytes();
      assert.equal(
        page.sum(BYTES_RECEIVED),
        steps.reduce((sum, [received]) => sum + received, 0),
      );
      assert.equal(
        page.sum(BYTES_SENT),
        steps.reduce((sum, [, sent]) => sum + sent, 0),
      );
    }),
    { numRuns: 20 },
  );
});

test('bytes of an open connection are visible as soon as they are reported', () => {
  const { page, tracker, open } = bench();
  const { totals } = open();
  totals.received = 7;
  totals.sent = 70;
  assert.deepEqual([page.sum(BYTES_RECEIVED), page.sum(BYTES_SENT)], [0, 0]);
  tracker.reportBytes();
  assert.deepEqual([page.sum(BYTES_RECEIVED), page.sum(BYTES_SENT)], [7, 70]);
});

test('open connections are counted by pod and by the end they are seen from', () => {
  const { tracker, open } = bench();
  const outbound = open();
  const inbound = open({ podUid: 'u2', parties: parties({ reporter: 'destination' }) });
  open({ podUid: 'u2' });
  assert.deepEqual([tracker.countByReporter('source'), tracker.countByReporter('destination')], [2, 1]);
  assert.deepEqual([tracker.countOf('u1'), tracker.countOf('u2'), tracker.countOf('u3')], [1, 2, 0]);
  inbound.connection.ended(undefined);
  inbound.connection.ended(undefined);
  outbound.connection.ended(undefined);
  assert.deepEqual([tracker.countByReporter('source'), tracker.countByReporter('destination')], [1, 0]);
  assert.deepEqual([tracker.countOf('u1'), tracker.countOf('u2')], [0, 1]);
});

test('a connection counts as the pod’s from when it is accepted, so that waiting ones are limited too', () => {
  const { tracker, open } = bench();
  const settled = tracker.beginning('u1', () => {});
  const other = tracker.beginning('u1', () => {});
  open();
  assert.deepEqual([tracker.countOf('u1'), tracker.countOf('u2')], [3, 0]);
  settled();
  settled();
  other();
  assert.equal(tracker.countOf('u1'), 1);
});

test('exactly the connections that the judge objects to are cut, each with its own error', () => {
  const { tracker, open } = bench();
  const [one, two, three] = ['u1', 'u2', 'u3'].map((podUid) => open({ podUid }));
  const count = tracker.cutWhere(({ podUid }) =>
    podUid === 'u2' ? undefined : errors.AMBIT_POD_REMOVED(`pod ${podUid} has gone`),
  );
  assert.equal(count, 2);
  assert.deepEqual(
    [one, two, three].map((each) => each!.cuts.map((error) => error.message)),
    [['pod u1 has gone'], [], ['pod u3 has gone']],
  );
});

test('everything of a pod is cut, what may still come to be open too, and nothing of another pod', () => {
  const { tracker, open } = bench();
  const cut: string[] = [];
  for (const podUid of ['u1', 'u2']) {
    const settled = tracker.beginning(podUid, (error) => {
      cut.push(`${podUid}: ${error.message}`);
      settled();
    });
  }
  const [one, two] = ['u1', 'u2'].map((podUid) => open({ podUid }));
  tracker.cutPod('u1', denied);
  assert.deepEqual([cut, one!.cuts, two!.cuts], [['u1: a policy changed'], [denied], []]);
  assert.deepEqual([tracker.countOf('u1'), tracker.countOf('u2')], [1, 2]);
});

test('connections that end while others are cut do no harm', () => {
  const { page, tracker } = bench();
  const opened = [0, 1, 2].map(() => {
    const totals = { received: 0, sent: 0 };
    const connection = tracker.opened(description(), {
      totals: () => totals,
      // What one relay does may end all of them, as when they share an HTTP/2 connection.
      cut: (error) => {
        for (const each of opened) each.ended(error);
      },
    });
    return connection;
  });
  assert.equal(
    tracker.cutWhere(() => denied),
    3,
  );
  assert.deepEqual([tracker.size, page.sum(CONNECTIONS_CLOSED)], [0, 3]);
});

test('the tracker is idle when nothing is open and nothing that was accepted may still be', () => {
  const { tracker, open } = bench();
  assert.equal(tracker.isIdle, true);
  const settled = tracker.beginning('u1', () => {});
  assert.equal(tracker.isIdle, false);
  const { connection } = open();
  settled();
  settled();
  assert.equal(tracker.isIdle, false);
  connection.ended(undefined);
  assert.equal(tracker.isIdle, true);
});

test('a connection is summarised with the addresses that config_dump shows', () => {
  const { tracker, open } = bench();
  open();
  open({ podUid: 'u2', parties: parties({ reporter: 'destination' }), protocol: 'TCP' });
  assert.deepEqual(tracker.summaries(), [
    {
      podUid: 'u1',
      direction: 'outbound',
      src: '10.244.1.2:4001',
      originalDst: '10.96.0.9:80',
      actualDst: '10.244.2.3:15008',
      protocol: 'HBONE',
    },
    {
      podUid: 'u2',
      direction: 'inbound',
      src: '10.244.1.2:4001',
      originalDst: '10.96.0.9:80',
      actualDst: '10.244.2.3:15008',
      protocol: 'TCP',
    },
  ]);
});
