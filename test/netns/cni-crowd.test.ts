/** A node agent with a thousand pods: all at once, one more in the midst of it, and the next agent. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setLogLevels } from '../../src/telemetry/log.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import { NodeWorld } from '../support/node-world.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

const PODS = 1000;
/** For all of them, on a machine that is busy. */
const DEADLINE_MS = 240_000;

function ipOf(index: number): string {
  return `10.0.${Math.trunc(index / 250)}.${1 + (index % 250)}`;
}

inOwnNamespaces(
  import.meta.filename,
  () => {
    setLogLevels('off');

    test(`${PODS} pods that are labelled at once are all enrolled, a new one does not wait for them, and the next agent takes all over`, async (t) => {
      const node = new NodeWorld();
      t.after(() => node.close());
      node.writeNamespace('shop', {});
      const pods = Array.from({ length: PODS }, (_, i) => {
        node.writePod(`web-${i}`, { ips: [ipOf(i)] });
        return { name: `web-${i}`, sandbox: node.makeSandbox(ipOf(i)) };
      });
      const late = node.makeSandbox('10.1.0.1');
      const agent = await node.startAgent();
      const ztunnel = await node.connectZtunnel();
      const enrolled = () => agent.report().pods.filter((pod) => pod.state === 'enrolled').length;
      const beganMs = performance.now();
      node.writeNamespace('shop', { 'istio.io/dataplane-mode': 'ambient' });
      await eventuallyAnswers('under way', async () => enrolled() > 0, DEADLINE_MS);
      node.writePod('new', { phase: 'Pending' });
      // A runtime asks again when it is told that the machine was too busy.
      await eventuallyAnswers('the new pod enrolled', async () => {
        const answer = await node.addSandboxByPlugin('new', late, '10.1.0.1');
        return answer.status === 200;
      });
      const before = enrolled();
      assert.ok(before < PODS / 2, `the new pod waited for ${before} others`);
      await eventuallyAnswers('all enrolled', async () => enrolled() === PODS + 1, DEADLINE_MS);
      t.diagnostic(`${PODS} pods enrolled in ${Math.round(performance.now() - beganMs)} ms`);

      for (const { name, sandbox } of pods) {
        assert.equal(ztunnel.pods.get(`uid-${name}`), sandbox.namespace.inode);
      }
      const probeSet = () => node.host.run('ipset save istio-inpod-probes-v4');
      assert.equal(probeSet().match(/comment "uid-/g)?.length, PODS + 1);
      for (const { sandbox } of pods.filter((_, i) => i % 100 === 0)) {
        assert.match(sandbox.run('iptables-nft-save'), /--to-ports 15001/);
      }
      assert.deepEqual(
        agent.report().pods.flatMap((pod) => pod.findings),
        [],
      );

      node.writePod('new', { ips: ['10.1.0.1'] });
      agent.stop();
      const againMs = performance.now();
      const next = await node.startAgent();
      t.diagnostic(`the next agent is ready after ${Math.round(performance.now() - againMs)} ms`);
      assert.deepEqual(new Set(next.report().pods.map((pod) => pod.state)), new Set(['enrolled']));
      assert.equal(next.report().pods.length, PODS + 1);
      const following = await node.connectZtunnel();
      assert.equal(following.pods.size, PODS + 1);
      assert.equal(probeSet().match(/comment "uid-/g)?.length, PODS + 1);
    });
  },
  { users: 'one' },
);
