/** The data path under torture: a thousand tunnels at once, every way to end, and nothing left afterwards. */

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { makeRoot } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { Load } from '../support/load.ts';
import type { ConnectionOutcome, LoadBatch } from '../support/load-generator.ts';
import { MeshNode, workloadOf } from '../support/mesh-node.ts';
import { type LivePod, MeshPods } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

const MB = 1_000_000;
const BATCHES: readonly LoadBatch[] = both(500, 10 * MB);
/** Twenty gigabytes pass through four processes, on whatever machine this is. */
const DEADLINE_MS = 500_000;
/** The header of each connection, and the server's answer to it. */
const [HEADER_BYTES, ANSWER_BYTES] = [16, 1];
const PORT = 8080;
/**
 * Least, first and largest bytes of a socket's buffers. What the kernel gives to all of TCP is a share of the machine's
 * memory; beyond it packets are dropped and connections wait for minutes, which is not what is tested here.
 */
const SOCKET_BUFFERS = '4096 65536 131072';

function both(count: number, bytes: number): LoadBatch[] {
  return [
    { count, bytes, ending: 'client-first' },
    { count, bytes, ending: 'server-first' },
  ];
}

function sum(outcomes: readonly ConnectionOutcome[], of: 'sent' | 'received', more: number): number {
  return outcomes.reduce((total, one) => total + one[of] + more, 0);
}

/** What a node has counted: client to server, server to client, and connections. */
function countsOf(node: MeshNode) {
  return {
    up: node.total('istio_tcp_received_bytes_total', {}),
    down: node.total('istio_tcp_sent_bytes_total', {}),
    opened: node.total('istio_tcp_connections_opened_total', {}),
    closed: node.total('istio_tcp_connections_closed_total', {}),
    failed: node.total('istio_tcp_connections_failed_total', {}),
  };
}

type Counts = ReturnType<typeof countsOf>;

function difference(now: Counts, before: Counts): Counts {
  const entries = Object.entries(now).map(([key, value]) => [key, value - before[key as keyof Counts]]);
  return Object.fromEntries(entries);
}

/** What this process has open, except for the handles on its own namespace, of which every thread keeps one. */
function descriptors(): string[] {
  const own = readlinkSync('/proc/self/ns/net');
  const targets = readdirSync('/proc/self/fd').map((fd) => linkTarget(`/proc/self/fd/${fd}`));
  return targets.filter((target) => target !== undefined && target !== own).map((target) => target!);
}

/** Undefined for a descriptor that is closed meanwhile, like that of the folder that is read. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

inOwnNamespaces(
  import.meta.filename,
  () => {
    const authority = makeRoot('mesh root');
    const nodes: MeshNode[] = [];
    let pods: MeshPods;
    let client: LivePod;
    let server: LivePod;
    let serving: Load;
    let descriptorsBefore: string[];
    let earlier: Counts[];
    const loads: Load[] = [];

    const held = (kind: string) =>
      nodes.reduce((total, node) => total + node.total('ambit_resources_held', { kind }), 0);

    /** Starts connections from client to server; what happens from now on is what is counted. */
    async function connect(batches: readonly LoadBatch[]): Promise<Load> {
      earlier = nodes.map(countsOf);
      serving.outcomes.length = 0;
      const load = await Load.connect(client, { host: '10.0.0.2', port: PORT, batches });
      loads.push(load);
      return load;
    }

    async function everythingOver(): Promise<Counts[]> {
      await eventually('the proxies to have closed every connection', () =>
        nodes.map(countsOf).every((now) => now.opened === now.closed),
      );
      await eventually('every stream to be gone', () => held('http2_streams') === 0);
      return nodes.map((node, i) => difference(countsOf(node), earlier[i]!));
    }

    before(async () => {
      pods = new MeshPods();
      [client, server] = [pods.make('client', 1), pods.make('server', 2)];
      for (const { netns } of [client, server]) {
        const limit = (name: string) => `echo ${SOCKET_BUFFERS} >/proc/sys/net/ipv4/${name}`;
        netns.run(`sh -c '${limit('tcp_rmem')}; ${limit('tcp_wmem')}'`);
      }
      await pods.redirect(client, server);
      for (const _ of [client, server]) {
        const node = new MeshNode(authority);
        await node.start({ RUST_LOG: 'warn' });
        nodes.push(node);
      }
      descriptorsBefore = descriptors();
      for (const [i, pod] of [client, server].entries()) {
        assert.equal(await nodes[i]!.addPod(pod), undefined);
        nodes[i]!.workloads(workloadOf(client), workloadOf(server));
      }
      serving = await Load.serve(server, PORT);
    });

    after(() => {
      for (const load of [serving, ...loads]) load.kill();
      for (const node of nodes) assert.deepEqual(node.failures, []);
    });

    test('a thousand tunnels open at once carry every byte in order both ways, whichever side ends first', async () => {
      const count = BATCHES.reduce((total, batch) => total + batch.count, 0);
      const bytes = BATCHES.reduce((total, batch) => total + batch.count * batch.bytes, 0);
      const load = await connect(BATCHES);
      for (const node of nodes) assert.equal((await node.connections()).length, count);
      load.go();
      await load.whenDone(count, DEADLINE_MS);
      await serving.whenDone(count, DEADLINE_MS);
      const expected = { 'client-first: complete': count / 2, 'server-first: complete': count / 2 };
      assert.deepEqual(load.summary(), expected);
      assert.deepEqual(serving.summary(), expected);
      const counted = { opened: count, closed: count, failed: 0 };
      const up = bytes + count * HEADER_BYTES;
      const down = bytes + count * ANSWER_BYTES;
      assert.deepEqual(await everythingOver(), [
        { up, down, ...counted },
        { up, down, ...counted },
      ]);
    });

    test('a reset by either side is a reset for the other, and its neighbours do not notice', async () => {
      const load = await connect([
        { count: 50, bytes: 100 * MB, ending: 'client-resets' },
        { count: 50, bytes: 100 * MB, ending: 'server-resets' },
        { count: 50, bytes: 2 * MB, ending: 'client-first' },
      ]);
      load.go();
      await load.whenDone(150, DEADLINE_MS);
      await serving.whenDone(150, DEADLINE_MS);
      const expected = {
        'client-resets: reset': 50,
        'server-resets: reset': 50,
        'client-first: complete': 50,
      };
      assert.deepEqual(load.summary(), expected);
      assert.deepEqual(serving.summary(), expected);
      const [near, far] = await everythingOver();
      const rising = (...values: number[]) =>
        assert.deepEqual(
          values,
          values.toSorted((a, b) => a - b),
        );
      const [clientSide, serverSide] = [load.outcomes, serving.outcomes];
      rising(
        sum(serverSide, 'received', HEADER_BYTES),
        far!.up,
        near!.up,
        sum(clientSide, 'sent', HEADER_BYTES),
      );
      rising(
        sum(clientSide, 'received', ANSWER_BYTES),
        near!.down,
        far!.down,
        sum(serverSide, 'sent', ANSWER_BYTES),
      );
    });

    test('when a process is killed with its tunnels in full flow, the other side of each learns of it', async () => {
      const load = await connect([{ count: 100, bytes: 100 * MB, ending: 'killed' }]);
      load.go();
      await eventually('bytes to flow', () => countsOf(nodes[1]!).up > earlier[1]!.up + 10 * MB, 30_000);
      load.kill();
      await serving.whenDone(100, 30_000);
      await everythingOver();
      const again = await connect([{ count: 100, bytes: 100 * MB, ending: 'killed' }]);
      again.go();
      await eventually('bytes to flow', () => countsOf(nodes[0]!).down > earlier[0]!.down + 10 * MB, 30_000);
      serving.kill();
      await again.whenDone(100, 30_000);
      await everythingOver();
      for (const { end } of [...serving.outcomes, ...again.outcomes])
        assert.match(end, /^(reset|cut short)$/);
    });

    test('nothing is left: no connection, no stream, no buffer, no descriptor', async () => {
      for (const node of nodes) assert.deepEqual(await node.connections(), []);
      await eventually('no buffer to be in use', () => held('buffers') === 0);
      for (const [i, pod] of [client, server].entries()) await nodes[i]!.removePod(pod);
      await eventually('no HTTP/2 connection to stand', () => held('http2_connections') === 0);
      await eventually(
        'the descriptors to be closed',
        () => descriptors().length <= descriptorsBefore.length,
      );
    });
  },
  { users: 'one' },
);
