/** Who reaches whom, in the mesh and out of it, on every way there is, and what can be read on the wire. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { Mesh } from '../support/cluster/mesh.ts';
import {
  AMBIENT,
  HTTP_PORT,
  type Manifest,
  namespaceManifest,
  serviceManifest,
} from '../support/mesh-manifests.ts';
import { portOf } from '../support/wire-capture.ts';

const MESHED = 'reach-meshed';
const PLAIN = 'reach-plain';
const NAMESPACES = [MESHED, PLAIN];
/** Seen from the clients, which are on node1. */
const SERVERS = { near: 'node1', far: 'node2' } as const;
const ROUTES = ['pod address', 'ClusterIP', 'Service name', 'headless name'] as const;
const IPV6_ROUTES = ['IPv6 pod address', 'IPv6 ClusterIP'] as const;

type Route = (typeof ROUTES)[number] | (typeof IPV6_ROUTES)[number];
const NODES = ['node1', 'node2', 'node3'];
const HBONE_PORT = 15008;

function manifests(namespace: string): readonly Manifest[] {
  const servers = Object.entries(SERVERS).flatMap(([name, node]) => [
    clusterPod({ name, namespace, node }),
    serviceManifest({ name, namespace }),
    serviceManifest({ name: `${name}-headless`, namespace, app: name, headless: true }),
  ]);
  const client = clusterPod({ name: 'client', namespace, node: 'node1', container: toolsContainer() });
  return [client, ...servers];
}

describe('reachability', () => {
  let cluster: Cluster;
  let mesh: Mesh;

  before(async () => {
    cluster = Cluster.current();
    mesh = new Mesh(cluster);
    await cluster.apply(
      namespaceManifest(MESHED, AMBIENT),
      namespaceManifest(PLAIN),
      ...NAMESPACES.flatMap((namespace) => manifests(namespace)),
    );
    for (const namespace of NAMESPACES) await cluster.podsReady(namespace, 3);
    await mesh.enrolled(MESHED);
    await knownToKubeProxy();
  });
  after(async () => {
    for (const namespace of NAMESPACES) await cluster.deleteNamespace(namespace);
    cluster.dispose();
  });

  /** On every node: until kube-proxy has heard of the pods that are ready, calls to a Service are refused or lost. */
  async function knownToKubeProxy(): Promise<void> {
    const addressed = (await routes()).filter((route) => route.endsWith('ClusterIP'));
    for (const namespace of NAMESPACES) {
      for (const server of Object.keys(SERVERS)) {
        const urls = await Promise.all(addressed.map((route) => urlOf(namespace, server, route)));
        for (const url of urls) await answersEveryNode(url);
      }
    }
  }

  async function answersEveryNode(url: string): Promise<void> {
    const asked = NODES.map((node) =>
      cluster.until(`${url} answers ${node}`, () => cluster.callerOn(node).echo(url)),
    );
    await Promise.all(asked);
  }

  async function urlOf(namespace: string, server: string, route: Route): Promise<string> {
    if (route === 'pod address') return `http://${await cluster.podIp(namespace, server)}:${HTTP_PORT}/`;
    if (route === 'ClusterIP') return `http://${await cluster.clusterIp(namespace, server)}/`;
    if (route === 'IPv6 pod address')
      return `http://[${await cluster.podIp(namespace, server, 6)}]:${HTTP_PORT}/`;
    if (route === 'IPv6 ClusterIP') return `http://[${await cluster.clusterIp(namespace, server, 6)}]/`;
    if (route === 'Service name') return `http://${server}.${namespace}/`;
    return `http://${server}-headless.${namespace}:${HTTP_PORT}/`;
  }

  /** Those that there are on this cluster. */
  async function routes(): Promise<readonly Route[]> {
    const both = (await cluster.podIps(MESHED, 'client')).length === 2;
    return both ? [...ROUTES, ...IPV6_ROUTES] : ROUTES;
  }

  for (const from of NAMESPACES) {
    for (const to of NAMESPACES) {
      test(`a pod of ${from} reaches ${to} on its node and on another, on every route, under its own address`, async (t: TestContext) => {
        const client = await cluster.callerIn(from, 'client');
        const own = await cluster.podIps(from, 'client');
        for (const server of Object.keys(SERVERS)) {
          for (const route of await routes()) {
            const url = await urlOf(to, server, route);
            await t.test(`${server} by ${route}`, async () => {
              const answer = await client.echo(url);
              assert.equal(answer.name, server);
              assert.ok(own.includes(answer.source.ip), `from ${answer.source.ip}`);
            });
          }
        }
      });
    }
  }

  test('nodes reach pods of the mesh and others, on their own node and on another', async () => {
    for (const node of NODES) {
      for (const namespace of NAMESPACES) {
        for (const server of Object.keys(SERVERS)) {
          for (const route of ['pod address', 'ClusterIP'] as const) {
            const answer = await cluster.callerOn(node).echo(await urlOf(namespace, server, route));
            assert.equal(answer.name, server);
          }
        }
      }
    }
  });

  /** The readable payloads on the wire of node1 while a client calls on every route. */
  async function wireOf(from: string, to: string, word: string) {
    const client = await cluster.callerIn(from, 'client');
    const own = await cluster.podIps(from, 'client');
    const segments = await cluster.nodes.capture('node1', async () => {
      for (const route of await routes()) await client.echo(`${await urlOf(to, 'far', route)}?word=${word}`);
    });
    return segments.filter(({ source, destination }) =>
      [source, destination].some((end) => own.includes(hostOf(end))),
    );
  }

  test('nothing that two pods of the mesh say to each other can be read on the wire, and all of it is HBONE', async () => {
    const segments = await wireOf(MESHED, MESHED, 'never-to-be-seen');
    assert.deepEqual(
      segments.filter((one) => one.text.includes('never-to-be-seen') || one.text.includes('HTTP/1.1')),
      [],
    );
    const server = await cluster.podIps(MESHED, 'far');
    const sent = segments.filter(({ destination }) => server.includes(hostOf(destination)));
    assert.ok(sent.length > 0, 'nothing was seen');
    assert.deepEqual([...new Set(sent.map((one) => portOf(one.destination)))], [HBONE_PORT]);
  });

  test('what passes between the mesh and other pods is plain, as it was', async () => {
    for (const [from, to] of [
      [MESHED, PLAIN],
      [PLAIN, MESHED],
    ] as const) {
      const segments = await wireOf(from, to, 'seen-by-all');
      assert.ok(
        segments.some((one) => one.text.includes('seen-by-all')),
        `${from} to ${to}`,
      );
    }
  });

  test("the server's proxy knows the client by its identity, and logs it", async () => {
    const client = await cluster.callerIn(MESHED, 'client');
    for (const [server, node] of Object.entries(SERVERS)) {
      await client.echo(await urlOf(MESHED, server, 'ClusterIP'));
      await mesh.accessLine(node, {
        direction: 'inbound',
        'src.workload': 'client',
        'dst.workload': server,
        'src.identity': `spiffe://cluster.local/ns/${MESHED}/sa/default`,
      });
    }
  });
});

/** The address of `10.244.1.3:40112` or `[fd00::3]:40112`. */
function hostOf(end: string): string {
  return end.slice(0, end.lastIndexOf(':')).replace(/[[\]]/g, '');
}
