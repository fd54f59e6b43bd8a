/** HBONE with node:http2 in both directions, whose windows are those of HTTP/2 itself: 65,535 bytes. */

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { credentialsFolder, InteropWorld } from '../support/interop-world.ts';
import { type PodProcess, runInPod } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { APPLICATION_PORT, carryAcross, carryFew, testTunnels } from '../support/tunnel-matrix.ts';

const PROGRAM = `${import.meta.dirname}/../support/http2-peer-main.ts`;
/** Longer than the tunnels that are open take. */
const DRAIN_MS = 60_000;

inOwnNamespaces(
  import.meta.filename,
  () => {
    const world = new InteropWorld();
    const [outbound, inbound] = [world.outbound(), world.inbound()];
    const lines: string[] = [];
    let peer: PodProcess;

    before(async () => {
      await world.start();
      const folder = credentialsFolder(world.certify(world.intermediate), world.root.certificatePem);
      const [theirs, ours] = [world.theirs.addresses[0]!, world.ours.addresses[0]!];
      peer = runInPod(world.theirs, PROGRAM, folder, theirs, ours, String(APPLICATION_PORT));
      createInterface(peer.stdout).on('line', (line) => lines.push(line));
      await eventually('the peer to serve', () => lines.includes('ready'), 30_000);
    });

    after(async () => {
      peer.kill('SIGKILL');
      await once(peer, 'exit');
      world.stop();
    });

    testTunnels('to node:http2', outbound);
    testTunnels('from node:http2', inbound);

    test('when node:http2 says GOAWAY, open tunnels end in order and new ones take another connection', () =>
      carryAcross(outbound, async () => {
        peer.kill('SIGTERM');
        await carryFew(outbound);
      }));

    test('when our proxy ends, open tunnels of node:http2 end in order, and it is told GOAWAY', async () => {
      let drained = Promise.resolve();
      await carryAcross(inbound, async () => {
        drained = world.node.pool.drain(DRAIN_MS);
      });
      await drained;
      await eventually('GOAWAY', () => lines.includes('goaway'));
    });
  },
  { users: 'one' },
);
