/** Parts of the mesh that die or go away: what goes on, and that nothing goes past the mesh meanwhile. */

import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import {
  AMBIENT,
  clientManifest,
  namespaceManifest,
  podManifest,
  serviceManifest,
} from '../support/mesh-manifests.ts';
import type { PodCaller } from '../support/pod-caller.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';

const CALLS = 20;

const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  clientManifest({ name: 'buyer', namespace: 'shop', node: 'node1' }),
  podManifest({ name: 'server', namespace: 'shop', node: 'node2' }),
  serviceManifest({ name: 'server', namespace: 'shop' }),
];

describe('parts that fail', () => {
  let session: SandboxSession;
  let buyer: PodCaller;
  /** By address: a resolver library asks again only after five seconds when its first question was lost. */
  let url: string;

  before(async () => {
    session = await SandboxSession.start({ name: 'restart', manifests: MANIFESTS });
    await session.enrolled('shop');
    buyer = await session.callerIn('shop', 'buyer');
    url = `http://${await session.clusterIp('shop', 'server')}/`;
    assert.equal((await buyer.echo(url)).name, 'server');
  });
  after(() => session?.dispose());

  async function callsSucceed(): Promise<void> {
    for (let i = 0; i < CALLS; i++) assert.equal((await buyer.echo(url)).name, 'server');
  }

  /** The server's proxy would see a call that went past the client's: it has no identity. */
  function assertNothingBypassed(): void {
    const inbound = session
      .logOf('node2')
      .filter(({ scope, fields }) => scope === 'access' && fields.direction === 'inbound');
    const bare = inbound.filter(
      ({ fields }) => fields['src.workload'] === 'buyer' && !fields['src.identity'],
    );
    assert.ok(inbound.length > 0);
    assert.deepEqual(bare, []);
  }

  test('a proxy that is killed is replaced, takes its pods over, and no call goes past the mesh', async (t: TestContext) => {
    const [node1] = (await session.facts()).nodes;
    process.kill(node1!.ztunnel!.pid!, 'SIGKILL');
    const killed = performance.now();
    await until('calls succeed again', async () => {
      const call = buyer.echo(url);
      return call.then(
        ({ name }) => name === 'server',
        () => false,
      );
    });
    t.diagnostic(`first call answered ${Math.round(performance.now() - killed)} ms after the kill`);
    await callsSucceed();
    assertNothingBypassed();
  });

  test('a proxy that is told to stop drains and is replaced', async () => {
    await session.client.call('restart', { component: 'ztunnel', node: 'node2' });
    await until('calls succeed again', async () =>
      buyer.echo(url).then(
        () => true,
        () => false,
      ),
    );
    await callsSucceed();
    assert.ok(session.logOf('node2').some(({ message }) => message === 'draining'));
  });

  test('nothing that runs stops while the control plane does not answer, new connections included', async () => {
    const { controlPlane } = await session.facts();
    const { pid } = controlPlane!.process!;
    process.kill(pid!, 'SIGSTOP');
    try {
      await callsSucceed();
    } finally {
      process.kill(pid!, 'SIGCONT');
    }
    assertNothingBypassed();
  });

  test('an agent that is killed leaves its pods in the mesh, and its successor finds them there', async () => {
    const [node1] = (await session.facts()).nodes;
    const { pid } = node1!.cni!;
    process.kill(pid!, 'SIGKILL');
    await callsSucceed();
    await until('a new agent runs', async () => {
      const now = (await session.facts()).nodes[0]!.cni!;
      return now.pid !== undefined && now.pid !== pid;
    });
    await session.enrolled('shop');
    await callsSucceed();
    assertNothingBypassed();
  });
});
