/** The mesh in a cluster of one IP family: IPv4 where IPv6 is switched off, and IPv6 alone. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  AMBIENT,
  clientManifest,
  HTTP_PORT,
  namespaceManifest,
  peerAuthenticationManifest,
  podManifest,
  serviceManifest,
} from '../support/mesh-manifests.ts';
import { addressesIn, urlHost } from '../support/pod-caller.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

const CLIENTS = [
  { namespace: 'shop', name: 'buyer', node: 'node1' },
  { namespace: 'plain', name: 'stranger', node: 'node1' },
] as const;
const SERVERS = [
  { namespace: 'shop', name: 'near', node: 'node1' },
  { namespace: 'shop', name: 'far', node: 'node2' },
  { namespace: 'plain', name: 'outside', node: 'node2' },
] as const;

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

for (const family of [4, 6] as const) {
  describe(`a mesh of IPv${family} alone`, () => {
    let session: SandboxSession;

    before(async () => {
      const up = ['--ip-families', `ipv${family}`];
      session = await SandboxSession.start({ name: `only-ipv${family}`, manifests: MANIFESTS, up });
      await session.enrolled('shop');
    });
    after(() => session?.dispose());

    test('pods in the mesh and outside reach each other by every kind of address, as themselves', async () => {
      for (const client of CLIENTS) {
        const caller = await session.callerIn(client.namespace, client.name);
        const own = await session.podIp(client.namespace, client.name, family);
        for (const { namespace, name } of SERVERS) {
          const ip = await session.podIp(namespace, name, family);
          const vip = await session.clusterIp(namespace, name, family);
          const targets = [
            `${urlHost(ip)}:${HTTP_PORT}`,
            urlHost(vip),
            `${name}.${namespace}`,
            `${name}-headless.${namespace}:${HTTP_PORT}`,
          ];
          for (const target of targets) {
            const seen = await caller.echo(`http://${target}/`);
            assert.deepEqual([seen.name, seen.source.ip], [name, own], target);
          }
        }
      }
    });

    test('what is between pods of the mesh is mutual TLS, on both sides', async () => {
      const labels = { source_workload: 'buyer', destination_workload: 'far' };
      const secure = { ...labels, connection_security_policy: 'mutual_tls' };
      const opened = 'istio_tcp_connections_opened_total';
      await until('both proxies have counted the calls', async () => {
        const [here, there] = [await session.metrics('node1'), await session.metrics('node2')];
        const counts = [
          sumOf(here, opened, { ...secure, reporter: 'source' }),
          sumOf(there, opened, { ...secure, reporter: 'destination' }),
        ];
        return counts.every((count) => count === 4);
      });
      assert.equal(
        sumOf(await session.metrics('node1'), opened, { ...labels, connection_security_policy: 'unknown' }),
        0,
      );
    });

    test('the name of a service has addresses of this family only', async () => {
      const caller = await session.callerIn('shop', 'buyer');
      const vip = await session.clusterIp('shop', 'far', family);
      const [own, other] = family === 4 ? (['A', 'AAAA'] as const) : (['AAAA', 'A'] as const);
      for (const transport of ['udp', 'tcp'] as const) {
        const answer = await caller.query('far.shop.svc.cluster.local', own, transport);
        assert.deepEqual(addressesIn(answer), [vip]);
        const empty = await caller.query('far.shop.svc.cluster.local', other, transport);
        assert.deepEqual([empty.rcode, empty.records], [0, []]);
      }
    });

    test('STRICT keeps plain text out', async () => {
      const strict = peerAuthenticationManifest('shop', 'strict', { mtls: { mode: 'STRICT' } });
      await session.apply(strict);
      const url = `http://${urlHost(await session.podIp('shop', 'far', family))}:${HTTP_PORT}/`;
      const stranger = await session.callerIn('plain', 'stranger');
      await until('plain text is refused', async () => (await stranger.outcome(url)) === 'ECONNRESET');
      assert.equal(await (await session.callerIn('shop', 'buyer')).outcome(url), 'ok');
    });
  });
}
