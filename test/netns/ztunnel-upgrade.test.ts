/** Node proxies that are replaced while pods open connections as fast as they can: none of them fails. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { Traffic } from '../chaos/traffic.ts';
import type { TrafficPlan } from '../chaos/traffic-main.ts';
import { makeRoot } from '../support/certificates.ts';
import type { StormPlan, StormReport } from '../support/connection-storm-main.ts';
import { eventually } from '../support/eventually.ts';
import { serviceOf, workloadOf } from '../support/mesh-node.ts';
import { type LivePod, MeshPods, runInPod, talk } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import type { ProxyPlan } from '../support/proxy-plan.ts';
import { ProxyProcess } from '../support/proxy-process.ts';

const STORM = join(import.meta.dirname, '..', 'support', 'connection-storm-main.ts');
const ECHO_PORT = 8080;
const REPLACEMENTS = 10;
/** A port of a connection that is over can be used again after a second, as far as the kernel is concerned. */
const MANY_PORTS =
  "sh -c 'echo 1024 65000 >/proc/sys/net/ipv4/ip_local_port_range; echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse'";
const SERVER = 'server.shop.svc.cluster.local';
/** One that is cut is replaced at once, so that there is always one that came after the last cut. */
const STREAMS: TrafficPlan = {
  host: '10.0.0.2',
  port: ECHO_PORT,
  streams: 20,
  replaceAfterMs: 0,
  chunksPerTick: 1,
  callIntervalMs: 1000,
};
const STORM_PLAN: StormPlan = {
  host: '10.0.0.2',
  port: ECHO_PORT,
  connections: 16,
  name: SERVER,
  nameserver: '10.96.0.10',
};

inOwnNamespaces(
  import.meta.filename,
  () => {
    const authority = makeRoot('mesh root');
    const servers: ReturnType<typeof createServer>[] = [];
    const proxies = new Set<ProxyProcess>();
    let endsAtServer = 0;
    let client: LivePod;
    let server: LivePod;
    let plan: Omit<ProxyPlan, 'pods' | 'reactors'>;

    before(async () => {
      const pods = new MeshPods();
      client = pods.make('client', 1);
      server = pods.make('server', 2);
      for (const { netns } of [client, server]) netns.run(MANY_PORTS);
      await pods.redirect(client, server);
      const echo = createServer({ allowHalfOpen: true }, (socket: Socket) => {
        socket.on('error', () => socket.destroy());
        socket.on('end', () => endsAtServer++);
        socket.pipe(socket);
      });
      servers.push(server.netns.namespace.run(() => echo.listen({ port: ECHO_PORT, backlog: 4096 })));
      const services = new Map([[`shop/${SERVER}`, [{ servicePort: 80, targetPort: ECHO_PORT }]]]);
      plan = {
        authority,
        workloads: [workloadOf(client), workloadOf(server, { services })],
        services: [serviceOf('server', 'shop', ['10.96.0.2'], { 80: ECHO_PORT })],
        drainDeadlineMs: 20_000,
      };
    });

    after(() => {
      for (const one of servers) one.close();
      for (const proxy of proxies) proxy.kill();
    });

    async function start(pod: LivePod, reactors: number): Promise<ProxyProcess> {
      const proxy = await ProxyProcess.start({ ...plan, pods: [pod], reactors });
      proxies.add(proxy);
      return proxy;
    }

    /** As a DaemonSet with maxSurge does: the next one first. */
    async function replace(old: ProxyProcess, pod: LivePod, reactors: number): Promise<ProxyProcess> {
      const next = await start(pod, reactors);
      const log = await old.stop();
      proxies.delete(old);
      assert.doesNotMatch(log, /outlived the drain/);
      return next;
    }

    function stormIn(pod: LivePod): () => Promise<StormReport> {
      const storm = runInPod(pod, STORM, JSON.stringify(STORM_PLAN));
      const report = json(storm.stdout) as Promise<StormReport>;
      return () => {
        storm.kill('SIGTERM');
        return report;
      };
    }

    test('the proxies of both ends are replaced ten times under load, and no connection and no look-up fails', async (t: TestContext) => {
      let [ofClient, ofServer] = await Promise.all([start(client, 2), start(server, 2)]);
      const stop = stormIn(client);
      for (let i = 0; i < REPLACEMENTS; i++) {
        // More reactors than before, fewer, and as many.
        const reactors = [3, 2, 2][i % 3]!;
        [ofClient, ofServer] = await Promise.all([
          replace(ofClient, client, reactors),
          replace(ofServer, server, reactors),
        ]);
      }
      const { calls, lookups, seconds, failures } = await stop();
      t.diagnostic(
        `${calls} connections, ${Math.round(calls / seconds)}/s; ${lookups} look-ups, ${Math.round(lookups / seconds)}/s`,
      );
      await Promise.all([ofClient.stop(), ofServer.stop()]);
      proxies.clear();
      assert.deepEqual(failures, []);
      assert.ok(calls > 1000 && lookups > 100, `${calls} calls, ${lookups} look-ups`);
    });

    test('connections that are open when a proxy is replaced go on until they end, or the deadline', async () => {
      const [one, still] = [await start(client, 2), await start(server, 2)];
      const script = `exec 3<>/dev/tcp/10.0.0.2/${ECHO_PORT}; while read -r line; do echo "$line" >&3; read -r back <&3; echo "$back"; done`;
      const child = spawn('ip', ['netns', 'exec', client.netns.name, 'bash', '-c', script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const echo = async (text: string) => {
        child.stdin.write(`${text}\n`);
        return String((await once(child.stdout, 'data'))[0]);
      };
      assert.equal(await echo('before'), 'before\n');
      const next = await start(client, 2);
      const stopped = one.stop();
      for (const text of ['while it stops', 'and still']) assert.equal(await echo(text), `${text}\n`);
      assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'by the next one'), 'by the next one');
      child.stdin.end();
      await stopped;
      await Promise.all([next.stop(), still.stop()]);
      proxies.clear();
    });

    for (const side of ['client', 'server'] as const) {
      test(`at the end of the drain at the ${side} nothing ends as if it were complete, however late it came`, async (t) => {
        const [stays, goes] = side === 'client' ? [server, client] : [client, server];
        const still = await start(stays, 2);
        const stopping = await ProxyProcess.start({
          ...plan,
          pods: [goes],
          reactors: 2,
          drainDeadlineMs: 500,
        });
        const traffic = new Traffic('client', ['ip', 'netns', 'exec', client.netns.name], STREAMS);
        t.after(() => {
          traffic.stop();
          for (const proxy of [still, stopping]) proxy.kill();
        });
        await traffic.progressed();
        endsAtServer = 0;
        assert.match(await stopping.stop(), /outlived the drain/);
        await eventually(
          'every stream is cut, and what took its place',
          () => traffic.ended.length >= 3 * STREAMS.streams,
        );
        const clean = traffic.ended.filter(({ how }) => how !== 'reset' && how !== 'refused');
        assert.deepEqual([clean, endsAtServer], [[], 0]);
        proxies.clear();
      });
    }

    test('without a successor a proxy that is told to stop serves new connections while others are open', async () => {
      const [one, still] = [await start(client, 2), await start(server, 2)];
      const child = spawn(
        'ip',
        [
          'netns',
          'exec',
          client.netns.name,
          'bash',
          '-c',
          `exec 3<>/dev/tcp/10.0.0.2/${ECHO_PORT}; read -r _`,
        ],
        { stdio: ['pipe', 'ignore', 'inherit'] },
      );
      assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'before'), 'before');
      const stopped = one.stop();
      for (let i = 0; i < 5; i++) assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'still'), 'still');
      child.stdin.end();
      await stopped;
      assert.equal(await talk(client, '10.0.0.2', ECHO_PORT, 'after'), '');
      await still.stop();
      proxies.clear();
    });
  },
  { users: 'one' },
);
