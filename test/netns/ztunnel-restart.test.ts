/** Proxies, agents and control planes that die, drain or stay away while pods go on calling each other. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type CallLoop, callFromPod } from '../support/call-loop.ts';
import { CALL_MESSAGE } from '../support/call-loop-main.ts';
import {
  AMBIENT,
  clientManifest,
  namespaceManifest,
  podManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';
import type { PodCaller } from '../support/pod-caller.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';
import { captureWhile } from '../support/wire-capture.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const MANIFESTS = [
  namespaceManifest('shop', AMBIENT),
  clientManifest({ name: 'buyer', namespace: 'shop', node: 'node1' }),
  podManifest({ name: 'server', namespace: 'shop', node: 'node2' }),
];
const CONTROL_PLANE_PORT = '15012';
/** What a node proxy has to make of a restart, on a machine that has nothing else to do. */
const TAKE_OVER_MS = 2000;
const DRAIN_DEADLINE_MS = 2000;

/** How long this program takes to start now: on a busy machine everything takes as many times longer. */
function startTimeMs(): number {
  const begin = performance.now();
  spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'ztunnel', '--help']);
  return performance.now() - begin;
}

describe('processes of the mesh that end', () => {
  let session: SandboxSession;
  let buyer: PodCaller;
  let server: string;
  const loops: CallLoop[] = [];

  before(async () => {
    const drain = `CONNECTION_TERMINATION_DEADLINE=${DRAIN_DEADLINE_MS}ms exec ambit ztunnel`;
    session = await SandboxSession.start({
      name: 'ending',
      manifests: MANIFESTS,
      up: ['--ztunnel', `node1=${drain}`],
    });
    await session.enrolled('shop');
    buyer = await session.callerIn('shop', 'buyer');
    server = await session.podIp('shop', 'server');
  });
  after(async () => {
    for (const loop of loops) loop.stop();
    await session?.dispose();
  });

  /** Calls from the buyer to the server, each on a connection of its own. */
  function startCalls(): CallLoop {
    const loop = callFromPod(
      session.commands,
      { namespace: 'shop', name: 'buyer' },
      { host: server, port: TCP_PORT },
    );
    loops.push(loop);
    return loop;
  }

  /** What the proxy of node 1 has logged over all its lives. */
  const log = async () => readFileSync((await proxyOf(0)).log, 'utf8');
  const proxyOf = async (node: 0 | 1) => (await session.facts()).nodes[node]!.ztunnel!;

  async function kill(pid: number | undefined, signal: NodeJS.Signals): Promise<number> {
    process.kill(pid!, signal);
    return Date.now();
  }

  /** Refuses connections to the control plane, as if nobody ran there. */
  async function controlPlaneAway(away: boolean): Promise<void> {
    const rule = [
      'INPUT',
      '-p',
      'tcp',
      '--dport',
      CONTROL_PLANE_PORT,
      '-j',
      'REJECT',
      '--reject-with',
      'tcp-reset',
    ];
    for (const iptables of ['iptables', 'ip6tables']) {
      const command = [iptables, away ? '-I' : '-D', ...rule];
      await session.commands.must('exec', 'controlplane', '-n', 'ambit-system', '--', ...command);
    }
    if (away) await kill((await session.facts()).controlPlane!.process!.pid, 'SIGKILL');
  }

  test('a proxy that is killed under load is replaced within 2 s, and no byte of an application goes bare meanwhile', async (t: TestContext) => {
    const calls = startCalls();
    await calls.succeeded(Date.now());
    let killedMs = 0;
    const segments = await captureWhile(session, async () => {
      killedMs = await kill((await proxyOf(0)).pid, 'SIGKILL');
      await calls.succeeded(killedMs + 1);
    });
    const allowedMs = Math.max(TAKE_OVER_MS, 4 * startTimeMs());
    calls.stop();
    const first = calls.lines.find((one) => one.startMs > killedMs && one.error === undefined)!;
    const tookMs = first.endMs - killedMs;
    t.diagnostic(`first answer ${tookMs} ms after the kill`);
    assert.ok(tookMs < allowedMs, `${tookMs} ms, of ${allowedMs}`);
    assert.ok(segments.some(({ destination }) => destination.endsWith(':15008')));
    assert.deepEqual(
      segments.filter(({ text }) => text.includes(CALL_MESSAGE)),
      [],
    );
    const refused = calls.lines.filter((one) => one.startMs > killedMs && one.error !== undefined);
    assert.ok(refused.length > 0, 'without a proxy a call must fail');
  });

  test('a proxy that is told to end lets connections end by themselves, and then ends at once', async () => {
    const { pid } = await proxyOf(0);
    const open = await buyer.open(server, TCP_PORT);
    assert.equal(await open.exchange('before'), 'before');
    await kill(pid, 'SIGTERM');
    await until('it drains', async () => (await log()).includes('draining'));
    assert.equal(await open.exchange('while it drains'), 'while it drains');
    assert.equal(await buyer.outcome(`http://${server}:8080/`), 'ok', 'nobody else is there to take it');
    await open.close();
    await until('it has ended', async () => (await proxyOf(0)).pid !== pid);
    assert.doesNotMatch(await log(), /outlived the drain/);
    await until('calls succeed', async () => (await buyer.outcome(`http://${server}:8080/`)) === 'ok');
  });

  test('a connection that outlives the drain is cut at its deadline', async () => {
    const { pid } = await proxyOf(0);
    const open = await buyer.open(server, TCP_PORT);
    await open.exchange('before');
    await kill(pid, 'SIGTERM');
    assert.match(await open.ending(), /ECONNRESET|end/);
    await until('it has ended', async () => (await proxyOf(0)).pid !== pid);
    assert.match(await log(), /outlived the drain/);
    await until('calls succeed', async () => (await buyer.outcome(`http://${server}:8080/`)) === 'ok');
  });

  test('without a control plane everything goes on, and a proxy that starts meanwhile serves once it is back', async () => {
    const open = await buyer.open(server, TCP_PORT);
    await controlPlaneAway(true);
    const calls = startCalls();
    await calls.succeeded(Date.now() + 500);
    assert.equal(await open.exchange('still here'), 'still here');
    assert.deepEqual(calls.failures(), []);
    const { pid } = await proxyOf(0);
    await kill(pid, 'SIGKILL');
    const node = await session.callerOn('node1');
    const readiness = 'http://127.0.0.1:15021/healthz/ready';
    await until('the next one waits', async () =>
      node.get(readiness).then(
        ({ status, body }) => status === 500 && body.includes('first state from the control plane'),
        () => false,
      ),
    );
    assert.equal(await buyer.outcome(`http://${server}:8080/`), 'ECONNREFUSED');
    await controlPlaneAway(false);
    const backMs = Date.now();
    await until('it is ready', async () => (await node.outcome(readiness)) === 'ok', 30_000);
    await calls.succeeded(backMs);
    calls.stop();
  });

  test('an agent that is killed and started again changes nothing for the pods', async () => {
    const open = await buyer.open(server, TCP_PORT);
    const calls = startCalls();
    await calls.succeeded(Date.now());
    const { pid } = (await session.facts()).nodes[0]!.cni!;
    const health = 'http://127.0.0.1:8000/readyz';
    const node = await session.callerOn('node1');
    await kill(pid, 'SIGKILL');
    await until('the next one is ready', async () => {
      const now = (await session.facts()).nodes[0]!.cni!.pid;
      return now !== undefined && now !== pid && (await node.outcome(health)) === 'ok';
    });
    await calls.succeeded(Date.now() + 200);
    calls.stop();
    assert.equal(await open.exchange('still here'), 'still here');
    assert.deepEqual(calls.failures(), []);
  });
});
