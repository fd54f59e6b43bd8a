/**
 * HBONE with Envoy in both directions: it ends the tunnels of our proxy (an HTTP connection manager that takes CONNECT),
 * and begins tunnels to it (tcp_proxy with tunneling_config). One thing Envoy does not do: where it ends a tunnel it takes
 * the end of the application for the end of both directions, and cuts what the client still has to say.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { CertificateAuthority } from '../support/certificates.ts';
import { EnvoyPeer } from '../support/envoy-peer.ts';
import { envoyProgram } from '../support/envoy-program.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import { InteropWorld, identityOf } from '../support/interop-world.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import {
  APPLICATION_PORT,
  carryAcross,
  carryFew,
  cutByApplicationEnd,
  testTunnels,
} from '../support/tunnel-matrix.ts';

/** Longer than the tunnels that are open take. */
const DRAIN_MS = 60_000;
const DEADLINE_MS = 60_000;
envoyProgram();

inOwnNamespaces(
  import.meta.filename,
  () => {
    const world = new InteropWorld();
    const outbound = world.outbound({ applicationEndsBoth: true });
    const inbound = world.inbound();
    let envoy: EnvoyPeer;

    before(() => world.start());
    after(() => world.stop());

    function startEnvoy(issuer: CertificateAuthority, window?: number): Promise<EnvoyPeer> {
      return EnvoyPeer.start({
        pod: world.theirs,
        leaf: world.certify(issuer),
        rootPem: world.root.certificatePem,
        upstream: { ip: world.ours.addresses[0]!, port: APPLICATION_PORT, identity: identityOf(world.ours) },
        ...(window !== undefined && { window }),
      });
    }

    for (const { what, issuer, window } of [
      { what: 'certificates of the root and its own windows', issuer: world.root },
      {
        what: 'certificates of an intermediate CA and windows of 64 KiB',
        issuer: world.intermediate,
        window: 65_535,
      },
    ]) {
      describe(`with ${what}`, () => {
        before(async () => {
          envoy = await startEnvoy(issuer, window);
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
            // Each thread of ours has a connection of its own, and Envoy ends one when it is asked for something more.
            await eventuallyAnswers(
              'a tunnel on a new connection',
              async () => {
                await carryFew(outbound);
                return (await connections()) > before;
              },
              DEADLINE_MS,
            );
            assert.ok((await envoy.counter('http.inbound.downstream_cx_drain_close')) > 0);
          });
        });
      });
    }

    test('when our proxy ends, the tunnels of Envoy that are open end in order, and it is told GOAWAY', async () => {
      envoy = await startEnvoy(world.root);
      after(() => envoy.stop());
      let drained = Promise.resolve();
      await carryAcross(inbound, async () => {
        drained = world.node.pool.drain(DRAIN_MS);
      });
      await drained;
      assert.equal(await envoy.counter('cluster.tunnel.upstream_cx_close_notify'), 1);
    });
  },
  { users: 'self' },
);
