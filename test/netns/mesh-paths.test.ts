/** Every way from a pod to a pod: same node or another one, in the mesh or not, by every kind of address. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { HttpAnswer, ProbeOutcome } from '../support/caller-protocol.ts';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  namespaceManifest,
  podManifest,
  serviceManifest,
} from '../support/mesh-manifests.ts';
import { type EchoAnswer, urlHost } from '../support/pod-caller.ts';
import { type MetricSample, sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

interface Party {
  readonly namespace: 'shop' | 'plain';
  readonly name: string;
  readonly node: string;
}

/** One client on node 1 and a server on each node, in the mesh and outside. */
const CLIENTS: readonly Party[] = [
  { namespace: 'shop', name: 'buyer', node: 'node1' },
  { namespace: 'plain', name: 'stranger', node: 'node1' },
];
const SERVERS: readonly Party[] = [
  { namespace: 'shop', name: 'near', node: 'node1' },
  { namespace: 'shop', name: 'far', node: 'node2' },
  { namespace: 'plain', name: 'outside-near', node: 'node1' },
  { namespace: 'plain', name: 'outside-far', node: 'node2' },
];

const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  namespaceManifest('plain'),
  ...CLIENTS.map(clientManifest),
  ...SERVERS.flatMap((server) => {
    const { name, namespace } = server;
    const headless = { name: `${name}-headless`, namespace, app: name, headless: true };
    return [podManifest(server), serviceManifest({ name, namespace }), serviceManifest(headless)];
  }),
];

const OPENED = 'istio_tcp_connections_opened_total';
const CLOSED = 'istio_tcp_connections_closed_total';
const RECEIVED = 'istio_tcp_received_bytes_total';
const SENT = 'istio_tcp_sent_bytes_total';

/** ztunnel of node 2 writes its log as JSON, that of node 1 as text. */
describe('the paths of a mesh', () => {
  let session: SandboxSession;

  before(async () => {
    const up = ['--ztunnel', 'node2=LOG_FORMAT=json exec ambit ztunnel'];
    session = await SandboxSession.start({ name: 'paths', manifests: MANIFESTS, up });
    await session.enrolled('shop');
  });
  after(() => session?.dispose());

  /** Calls a server by every kind of address; each call is a connection of its own. */
  async function callEveryWay(client: Party, server: Party): Promise<readonly HttpAnswer[]> {
    const caller = await session.callerIn(client.namespace, client.name);
    const answers: HttpAnswer[] = [];
    for (const family of [4, 6] as const) {
      const own = await session.podIp(client.namespace, client.name, family);
      const pod = await session.podIp(server.namespace, server.name, family);
      const vip = await session.clusterIp(server.namespace, server.name, family);
      const headless = `${server.name}-headless.${server.namespace}`;
      assert.deepEqual(await caller.lookup(headless, family), [pod]);
      for (const authority of [`${urlHost(pod)}:${HTTP_PORT}`, urlHost(vip), `${headless}:${HTTP_PORT}`]) {
        const answer = await caller.get(`http://${authority}/`);
        const seen = JSON.parse(answer.body) as EchoAnswer;
        assert.equal(seen.name, server.name, authority);
        // A name may lead to either family; an address decides it.
        const expected = authority.startsWith(headless) ? answer.local.ip : own;
        assert.equal(seen.source.ip, expected, `${authority}: the server must see its client’s address`);
        answers.push(answer);
      }
    }
    return answers;
  }

  /** What one side has counted of connections between two pods since `before`. */
  function countedSince(before: readonly MetricSample[], now: readonly MetricSample[], labels: Labels) {
    const grown = (name: string, more: Labels = {}) =>
      sumOf(now, name, { ...labels, ...more }) - sumOf(before, name, { ...labels, ...more });
    return { grown, all: { opened: grown(OPENED), received: grown(RECEIVED), sent: grown(SENT) } };
  }

  /** Checks what the proxy of one side counted of the calls, once all of them have ended. */
  async function assertCounted(
    side: { readonly node: string; readonly before: readonly MetricSample[]; readonly labels: Labels },
    answers: readonly HttpAnswer[],
  ) {
    const counted = await until(`every connection ended for ${JSON.stringify(side.labels)}`, async () => {
      const found = countedSince(side.before, await session.metrics(side.node), side.labels);
      return found.grown(CLOSED) >= answers.length && found;
    });
    assert.deepEqual(counted.all, {
      opened: answers.length,
      received: answers.reduce((sum, one) => sum + one.bytesSent, 0),
      sent: answers.reduce((sum, one) => sum + one.bytesReceived, 0),
    });
    return counted;
  }

  for (const client of CLIENTS) {
    for (const server of SERVERS) {
      const where = server.node === client.node ? 'the same node' : 'another node';
      const who = (party: Party) => (party.namespace === 'shop' ? 'in the mesh' : 'outside the mesh');
      test(`a pod ${who(client)} reaches one ${who(server)} on ${where} by any address, as itself, and both sides count it`, async () => {
        const before = { node1: await session.metrics('node1'), node2: await session.metrics('node2') };
        const answers = await callEveryWay(client, server);
        const security = expectedSecurity(client, server);
        const pair = { source_workload: client.name, destination_workload: server.name };
        if (client.namespace === 'shop') {
          const labels = { ...pair, ...security, reporter: 'source' };
          const side = { node: client.node, before: before.node1, labels };
          const { grown } = await assertCounted(side, answers);
          const destination_service = `${server.name}.${server.namespace}.svc.cluster.local`;
          assert.equal(
            grown(OPENED, { destination_service }),
            2,
            'the service is known when its VIP is called',
          );
        }
        if (server.namespace === 'shop') {
          const labels = { ...pair, ...security, reporter: 'destination' };
          const node = server.node as 'node1' | 'node2';
          await assertCounted({ node, before: before[node], labels }, answers);
        }
        if (client.namespace === 'plain' && server.namespace === 'plain') {
          const counted = countedSince(before.node1, await session.metrics('node1'), pair);
          assert.equal(counted.all.opened, 0, 'the mesh has nothing to do with it');
        }
      });
    }
  }

  for (const server of SERVERS.slice(0, 2)) {
    const format = server.node === 'node1' ? 'as text' : 'as JSON';
    test(`the access log tells of a connection on both sides, here the server’s ${format}`, async () => {
      const caller = await session.callerIn('shop', 'buyer');
      const vip = await session.clusterIp('shop', server.name);
      const podIp = await session.podIp('shop', server.name);
      const clientIp = await session.podIp('shop', 'buyer');
      const answer = await caller.get(`http://${vip}/?size=1234`);
      const identities = {
        'src.identity': 'spiffe://cluster.local/ns/shop/sa/buyer',
        'dst.identity': `spiffe://cluster.local/ns/shop/sa/${server.name}`,
        'src.workload': 'buyer',
        'src.namespace': 'shop',
        'dst.workload': server.name,
        'dst.namespace': 'shop',
        'dst.service': `${server.name}.shop.svc.cluster.local`,
        'dst.cluster': 'Kubernetes',
      };
      const outbound = await session.accessLine('node1', {
        ...identities,
        'src.addr': `${clientIp}:${answer.local.port}`,
        'dst.addr': `${podIp}:15008`,
        'dst.hbone_addr': `${podIp}:${HTTP_PORT}`,
        direction: 'outbound',
        bytes_sent: String(answer.bytesSent),
        bytes_recv: String(answer.bytesReceived),
        duration: /^\d+ms$/,
      });
      assert.equal(outbound.message, 'connection complete');
      assert.equal(outbound.level, 'info');
      assert.equal(outbound.fields.error, undefined);
      await session.accessLine(server.node, {
        ...identities,
        'src.addr': new RegExp(`^${clientIp}:\\d+$`),
        'dst.addr': `${podIp}:${HTTP_PORT}`,
        direction: 'inbound',
        bytes_sent: String(answer.bytesReceived),
        bytes_recv: String(answer.bytesSent),
      });
    });
  }

  /** Istio's probes of hostile ports (malicious_calls_inpod): refused or cut, never answered by the proxy. */
  const PROXY_PORTS = [15001, 15006, 15008] as const;
  const OTHER_PORTS = [15000, 15020, 15021, 15053] as const;

  for (const client of CLIENTS) {
    const who = client.namespace === 'shop' ? 'in the mesh' : 'outside the mesh';
    test(`ports of the proxy lead a pod ${who} nowhere, neither in another pod nor in itself`, async () => {
      const caller = await session.callerIn(client.namespace, client.name);
      const own = await session.podIp(client.namespace, client.name);
      const targets = [
        own,
        '127.0.0.1',
        ...(await Promise.all(['near', 'far'].map((n) => session.podIp('shop', n)))),
      ];
      for (const host of targets) {
        for (const port of [...PROXY_PORTS, ...OTHER_PORTS]) {
          // The one that is there for the pod itself: its resolver.
          if (host === '127.0.0.1' && port === 15053) continue;
          const outcome = await caller.probe(host, port);
          assert.ok(isUnanswered(outcome), `${host}:${port} ${JSON.stringify(outcome)}`);
        }
      }
      const vip = await session.clusterIp('shop', 'far');
      assert.equal(await caller.outcome(`http://${vip}/`), 'ok', 'the proxies have taken no harm');
    });
  }

  test('of a node a pod reaches the pages meant for others, and nothing else of the proxy', async () => {
    const node = (await session.pod('ambit-system', 'ztunnel-node2')).status.podIP;
    for (const { namespace, name } of CLIENTS) {
      const caller = await session.callerIn(namespace, name);
      assert.match((await caller.get(`http://${node}:15020/metrics`)).body, /# TYPE/);
      assert.equal(await caller.outcome(`http://${node}:15021/healthz/ready`), 'ok');
      for (const port of [15000, 15001, 15006, 15008, 15053]) {
        const outcome = await caller.probe(node, port);
        assert.ok(isUnanswered(outcome), `${name}: ${node}:${port} ${JSON.stringify(outcome)}`);
      }
    }
  });
});

type Labels = Readonly<Record<string, string>>;

/** Labels that tell whether a connection between the two is mutual TLS, and who they are then. */
function expectedSecurity(client: Party, server: Party): Labels {
  const secure = client.namespace === 'shop' && server.namespace === 'shop';
  const principal = ({ namespace, name }: Party) =>
    secure ? `spiffe://cluster.local/ns/${namespace}/sa/${name}` : 'unknown';
  return {
    connection_security_policy: secure ? 'mutual_tls' : 'unknown',
    source_principal: principal(client),
    destination_principal: principal(server),
    source_workload_namespace: client.namespace,
    destination_workload_namespace: server.namespace,
    response_flags: '-',
  };
}

function isUnanswered(outcome: ProbeOutcome): boolean {
  return outcome.kind !== 'answered' && outcome.code !== 'ETIMEDOUT';
}
