/** Pods that join and leave a mesh while they work: their connections, what is on the wire, and their probes. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  peerAuthenticationManifest,
  podManifest,
  policyManifest,
  serviceManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';
import type { OpenConnection, PodCaller } from '../support/pod-caller.ts';
import { LIVENESS_PORT, type ProbeCounts, READINESS_PORT } from '../support/probed-server.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';
import { captureWhile, portOf, type Segment } from '../support/wire-capture.ts';

const PROBED_SERVER = join(import.meta.dirname, '..', 'support', 'probed-server.ts');
/** One failure is enough to be seen. */
const PROBE = { periodSeconds: 1, failureThreshold: 1 };
const PROBED: Manifest = {
  image: 'host',
  command: [process.execPath, '--disable-warning=ExperimentalWarning', PROBED_SERVER],
  readinessProbe: { httpGet: { path: '/ready', port: READINESS_PORT }, ...PROBE },
  livenessProbe: { tcpSocket: { port: LIVENESS_PORT }, initialDelaySeconds: 2, ...PROBE },
};
/** What kubelet's probes look like to an enrolled pod. */
const PROBE_SOURCE = /^(169\.254\.7\.127|fd16:9254:7127:1337:ffff:ffff:ffff:ffff)$/;
const SECRET = 'the-answer-is-forty-two';
const APPLICATION_PORTS = [80, HTTP_PORT, TCP_PORT];

const MANIFESTS = [
  namespaceManifest('shop'),
  namespaceManifest('plain'),
  clientManifest({ name: 'buyer', namespace: 'shop', node: 'node1' }),
  podManifest({ name: 'near', namespace: 'shop', node: 'node1' }),
  podManifest({ name: 'far', namespace: 'shop', node: 'node2' }),
  podManifest({ name: 'probed', namespace: 'shop', node: 'node1', container: PROBED }),
  serviceManifest({ name: 'far', namespace: 'shop' }),
  clientManifest({ name: 'stranger', namespace: 'plain', node: 'node1' }),
];

describe('joining and leaving a mesh', () => {
  let session: SandboxSession;
  let buyer: PodCaller;
  let stranger: PodCaller;
  let farIp: string;
  let vip: string;

  before(async () => {
    session = await SandboxSession.start({ name: 'enrolment', manifests: MANIFESTS });
    buyer = await session.callerIn('shop', 'buyer');
    stranger = await session.callerIn('plain', 'stranger');
    farIp = await session.podIp('shop', 'far');
    vip = await session.clusterIp('shop', 'far');
  });
  after(() => session?.dispose());

  async function joinMesh(): Promise<void> {
    await session.label({ kind: 'namespace', name: 'shop' }, AMBIENT);
    await session.enrolled('shop');
  }

  async function leaveMesh(): Promise<void> {
    await session.label({ kind: 'namespace', name: 'shop' }, { 'istio.io/dataplane-mode': null });
    await session.enrolled('shop', false);
  }

  /** Connections between pods of the namespace that the proxies have seen. */
  async function seenByProxies(): Promise<number> {
    const counts = await Promise.all(
      ['node1', 'node2'].map(async (node) =>
        sumOf(await session.metrics(node), 'istio_tcp_connections_opened_total', {}),
      ),
    );
    return counts.reduce((sum, one) => sum + one, 0);
  }

  /** Calls of every kind that cross the link between the nodes. */
  async function callFar(): Promise<void> {
    for (const url of [`http://${farIp}:${HTTP_PORT}/?${SECRET}`, `http://${vip}/?${SECRET}`]) {
      assert.equal(await buyer.outcome(url), 'ok');
    }
    const connection = await buyer.open(farIp, TCP_PORT);
    assert.equal(await connection.exchange(SECRET), SECRET);
    await connection.close();
  }

  function inTheClear(segments: readonly Segment[]): readonly Segment[] {
    return segments.filter(
      ({ source, destination, text }) =>
        text.includes(SECRET) ||
        APPLICATION_PORTS.some((port) => portOf(source) === port || portOf(destination) === port),
    );
  }

  test('nothing but mutual TLS is on the wire while pods are in the mesh, and plain text before and after', async () => {
    const toFar = ({ destination }: Segment) => destination === `${farIp}:15008`;
    const before = await captureWhile(session, callFar);
    assert.ok(before.some(({ text }) => text.includes(SECRET)));
    assert.ok(!before.some(toFar));

    await joinMesh();
    const inside = await captureWhile(session, callFar);
    assert.deepEqual(inTheClear(inside), []);
    assert.ok(inside.some(toFar), 'the calls went somewhere');

    const leaving = await captureWhile(session, async () => {
      const connection = await buyer.open(farIp, TCP_PORT);
      const untilCut = (async () => {
        for (;;) assert.equal(await connection.exchange(SECRET), SECRET);
      })();
      await Promise.all([leaveMesh(), assert.rejects(untilCut, { code: 'ECONNRESET' })]);
    });
    assert.deepEqual(inTheClear(leaving), [], 'what began as mutual TLS never continues in plain text');

    const afterwards = await captureWhile(session, callFar);
    assert.ok(afterwards.some(({ text }) => text.includes(SECRET)));
    assert.ok(!afterwards.some(toFar), 'no tunnel is left');
  });

  test('connections that are open at enrolment go on in plain text; those through the mesh are cut when a pod leaves', async () => {
    const targets: readonly [PodCaller, string, number][] = [
      [buyer, farIp, TCP_PORT],
      [buyer, await session.podIp('shop', 'far', 6), TCP_PORT],
      [buyer, await session.podIp('shop', 'near'), TCP_PORT],
      [stranger, farIp, TCP_PORT],
    ];
    const openAll = async (): Promise<readonly OpenConnection[]> => {
      const all = await Promise.all(targets.map(([from, host, port]) => from.open(host, port)));
      for (const connection of all) assert.equal(await connection.exchange('hello'), 'hello');
      return all;
    };
    const old = await openAll();
    const seen = await seenByProxies();

    // Bytes move all the while, so that some do at every step of the enrolment.
    let enrolling = true;
    const moving = old.map(async (connection) => {
      let count = 0;
      for (; enrolling || count === 0; count++) assert.equal(await connection.exchange('moving'), 'moving');
      return count;
    });
    await joinMesh();
    enrolling = false;
    await Promise.all(moving);
    assert.equal(await seenByProxies(), seen, 'the proxies have nothing to do with them');

    const fresh = await openAll();
    const insideCount = await seenByProxies();
    // Three from pods of the mesh, seen on both sides, and one from outside.
    assert.equal(insideCount - seen, 7);
    for (const connection of [...old, ...fresh]) {
      assert.equal(await connection.exchange('inside'), 'inside');
    }

    await leaveMesh();
    for (const connection of fresh) assert.match(await connection.ending(), /^ECONNRESET$/);
    // Whichever pod leaves first.
    const left = /^connection closed: pod shop\/(buyer|near|far) has left the mesh$/;
    const lines = [...session.logOf('node1'), ...session.logOf('node2')];
    assert.ok(lines.some(({ scope, fields }) => scope === 'access' && left.test(fields.error ?? '')));
    for (const connection of old) {
      assert.equal(await connection.exchange('outside'), 'outside');
      await connection.close();
    }
    assert.equal(await seenByProxies(), insideCount);
  });

  /** Calls without a pause while something happens, and how many of them came out how. */
  async function callDuring(action: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
    const outcomes = new Map<string, number>();
    let going = true;
    const calls = [`http://${vip}/`, `http://${farIp}:${HTTP_PORT}/`].map(async (url) => {
      while (going) {
        const outcome = await buyer.outcome(url);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    });
    await action();
    going = false;
    await Promise.all(calls);
    return outcomes;
  }

  test('no call fails while pods join; while they leave only those that are under way may be cut', async () => {
    const joining = await callDuring(joinMesh);
    assert.deepEqual([...joining.keys()], ['ok']);
    const leaving = await callDuring(leaveMesh);
    const { ok = 0, ECONNRESET: cut = 0, ...others } = Object.fromEntries(leaving);
    assert.deepEqual(others, {});
    assert.ok(ok > 0 && cut <= 2, `${ok} ok, ${cut} cut: each caller has one call under way`);
  });

  test('probes succeed through enrolment, STRICT, deny-all and back, though policy would refuse them', async () => {
    const counts = async (): Promise<ProbeCounts> => {
      const caller = await session.callerIn('shop', 'probed');
      return JSON.parse((await caller.get(`http://127.0.0.1:${READINESS_PORT}/`)).body) as ProbeCounts;
    };
    const readySince = async () => {
      const pod = await session.pod('shop', 'probed');
      const ready = pod.status.conditions?.find((one) => one.type === 'Ready');
      return { ...ready, restarts: pod.status.containerStatuses?.[0]?.restartCount };
    };
    /** As many probes as it takes to be sure that one began after the last change. */
    const untilProbed = async () => {
      const { readiness, liveness } = await counts();
      return until('two more probes of each kind', async () => {
        const now = await counts();
        return now.readiness >= readiness + 2 && now.liveness >= liveness + 2 && now;
      });
    };
    const strict = peerAuthenticationManifest('shop', 'strict', { mtls: { mode: 'STRICT' } });
    const nobody = policyManifest('shop', 'nobody', {});
    const first = await readySince();
    assert.deepEqual([first.status, first.restarts], ['True', 0]);
    const url = `http://${await session.podIp('shop', 'probed')}:${READINESS_PORT}/`;

    await joinMesh();
    await session.apply(strict, nobody);
    await until('nobody else is let in', async () => (await buyer.outcome(url)) === 'ECONNRESET');
    const { probers } = await untilProbed();
    assert.ok(
      probers.some((ip) => PROBE_SOURCE.test(ip)),
      String(probers),
    );
    await session.remove(strict, nobody);
    await leaveMesh();
    await untilProbed();
    assert.deepEqual(await readySince(), first);
  });
});
