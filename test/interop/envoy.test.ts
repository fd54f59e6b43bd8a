/**
 * HBONE with Envoy in both directions: it ends the tunnels of our proxy (an HTTP connection manager that takes CONNECT),
 * and begins tunnels to it (tcp_proxy with tunneling_config). One thing Envoy does not do: where it ends a tunnel it takes
 * the end of the application for the end of both directions, and cuts what the client still has to say.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type CertificateAuthority, makeIntermediate, makeLeaf, makeRoot } from '../support/certificates.ts';
import { ENVOY_ENTRY_PORT } from '../support/envoy-config.ts';
import { EnvoyPeer } from '../support/envoy-peer.ts';
import { envoyProgram } from '../support/envoy-program.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import type { Load } from '../support/load.ts';
import { MeshNode, workloadOf } from '../support/mesh-node.ts';
import { MeshPods } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import {
  APPLICATION_PORT,
  carryAcross,
  carryFew,
  cutByApplicationEnd,
  serveApplication,
  type TunnelPath,
  testTunnels,
} from '../support/tunnel-matrix.ts';

const identity = (name: string) => `spiffe://cluster.local/ns/shop/sa/${name}`;
/** Longer than the tunnels that are open take. */
const DRAIN_MS = 60_000;
envoyProgram();

inOwnNamespaces(
  import.meta.filename,
  () => {
    const root = makeRoot('mesh root');
    const intermediate = makeIntermediate(root, 'mesh issuer');
    const pods = new MeshPods();
    const ours = pods.make('ours', 1);
    const theirs = pods.make('theirs', 2);
    const applications = new Map<string, Load>();
    let node: MeshNode;
    let envoy: EnvoyPeer;

    const nodes = () => [node];
    const outbound: TunnelPath = {
      from: ours,
      host: '10.0.0.2',
      port: APPLICATION_PORT,
      application: () => applications.get('theirs')!,
      nodes,
      applicationEndsBoth: true,
    };
    const inbound: TunnelPath = {
      from: theirs,
      host: '127.0.0.1',
      port: ENVOY_ENTRY_PORT,
      application: () => applications.get('ours')!,
      nodes,
    };

    before(async () => {
      await pods.redirect(ours);
      node = new MeshNode(root);
      await node.start();
      assert.equal(await node.addPod(ours), undefined);
      node.workloads(workloadOf(ours), workloadOf(theirs));
      for (const pod of [ours, theirs]) applications.set(pod.name, await serveApplication(pod));
    });

    after(() => {
      for (const one of applications.values()) one.kill();
      assert.deepEqual(node.failures, []);
      assert.doesNotMatch(node.log, /AMBIT_HTTP2_/);
    });

    function startEnvoy(
      issuer: CertificateAuthority,
      options: { readonly window?: number },
    ): Promise<EnvoyPeer> {
      node.install(identity('ours'), issuer, root.certificatePem);
      return EnvoyPeer.start({
        pod: theirs,
        leaf: makeLeaf(issuer, { spiffeId: identity('theirs') }),
        rootPem: root.certificatePem,
        upstream: { ip: '10.0.0.1', port: APPLICATION_PORT, identity: identity('ours') },
        ...options,
      });
    }

    for (const { what, issuer, options } of [
      { what: 'certificates of the root and its own windows', issuer: root, options: {} },
      {
        what: 'certificates of an intermediate CA and windows of 64 KiB',
        issuer: intermediate,
        options: { window: 65_535 },
      },
    ]) {
      describe(`with ${what}`, () => {
        before(async () => {
          envoy = await startEnvoy(issuer, options);
        });

        after(() => envoy.stop());

        testTunnels('to Envoy', outbound);
        testTunnels('from Envoy', inbound);

        test('to Envoy: an application that ends first has its tunnel cut, which is a reset for the client', () =>
          cutByApplicationEnd(outbound));

        test('when Envoy says GOAWAY, open tunnels end in order and new ones take another connection', async () => {
          const connections = () => envoy.counter('http.inbound.downstream_cx_total');
          await carryAcross(outbound, async () => {
            const before = await connections();
            await envoy.drain();
            await carryFew(outbound);
            await eventuallyAnswers(
              'GOAWAY',
              async () => (await envoy.counter('http.inbound.downstream_cx_drain_close')) > 0,
            );
            await carryFew(outbound);
            assert.ok((await connections()) > before);
          });
        });
      });
    }

    test('when our proxy ends, the tunnels of Envoy that are open end in order, and it is told GOAWAY', async () => {
      envoy = await startEnvoy(root, {});
      let drained = Promise.resolve();
      await carryAcross(inbound, async () => {
        drained = node.pool.drain(DRAIN_MS);
      });
      await drained;
      assert.equal(await envoy.counter('cluster.tunnel.upstream_cx_close_notify'), 1);
      await envoy.stop();
    });
  },
  { users: 'self' },
);
