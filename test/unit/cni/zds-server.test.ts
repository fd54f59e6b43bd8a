/** The ZDS server over real sockets, with real descriptors, against well-behaved and other ztunnels. */

import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import type { ZdsWorkload } from '../../../src/cni/zds-packets.ts';
import { ZdsServer } from '../../../src/cni/zds-server.ts';
import { Reactor } from '../../../src/io/reactor.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { WorkloadResponse } from '../../../src/xds/zds-messages.ts';
import { eventually } from '../../support/eventually.ts';
import { ZdsClient } from '../../support/zds-client.ts';

setLogLevels('off');

class Node {
  readonly folder = mkdtempSync(join(tmpdir(), 'zds-'));
  readonly path = join(this.folder, 'run', 'ztunnel.sock');
  readonly reactor = new Reactor();
  readonly workloads = new Map<string, ZdsWorkload>();
  readonly answers = new Map<string, AmbitError | undefined>();
  readonly counts: number[] = [];
  readonly server: ZdsServer;

  constructor(timeoutMs = 60_000) {
    this.server = new ZdsServer({
      reactor: this.reactor,
      path: this.path,
      workloads: { uids: () => [...this.workloads.keys()], get: (uid) => this.workloads.get(uid) },
      onSnapshotAnswer: (uid, error) => this.answers.set(uid, error),
      onConnections: (count) => this.counts.push(count),
      timeoutMs,
    });
    this.reactor.attachToNode();
    this.server.listen();
  }

  /** A file stands for a namespace: what matters is that the descriptor arrives. */
  addPod(uid: string): string {
    writeFileSync(join(this.folder, uid), '');
    const netnsFd = openSync(join(this.folder, uid), 'r');
    this.workloads.set(uid, {
      uid,
      name: uid,
      namespace: 's',
      serviceAccount: 'a',
      searchDomains: ['x.y'],
      netnsFd,
    });
    const { dev, ino } = fstatSync(netnsFd, { bigint: true });
    return `${dev}:${ino}`;
  }

  removePod(uid: string): void {
    closeSync(this.workloads.get(uid)!.netnsFd!);
    this.workloads.delete(uid);
  }

  async connect(): Promise<ZdsClient> {
    const client = new ZdsClient(this.reactor, this.path);
    await eventually('snapshot', () => client.hasSnapshot);
    return client;
  }

  close(): void {
    this.server.close();
    this.reactor.close();
    for (const uid of [...this.workloads.keys()]) if (this.workloads.get(uid)?.netnsFd) this.removePod(uid);
    rmSync(this.folder, { recursive: true });
  }
}

async function withNode(use: (node: Node) => Promise<void>, timeoutMs?: number): Promise<void> {
  const node = new Node(timeoutMs);
  try {
    await use(node);
  } finally {
    node.close();
  }
}

test('a ztunnel that greets gets every pod with its namespace, then the end of the snapshot', () =>
  withNode(async (node) => {
    const identities = [node.addPod('p1'), node.addPod('p2')];
    node.workloads.set('p3', { ...node.workloads.get('p1')!, uid: 'p3', netnsFd: undefined });
    const client = await node.connect();
    assert.deepEqual(client.log, ['add p1', 'add p2', 'keep p3', 'snapshotSent']);
    assert.deepEqual([client.pods.get('p1'), client.pods.get('p2')], identities);
    assert.deepEqual(client.infos.get('p1'), {
      name: 'p1',
      namespace: 's',
      serviceAccount: 'a',
      searchDomains: ['x.y'],
    });
    await eventually('answers', () => node.answers.size === 2);
    assert.deepEqual(node.counts, [1]);
  }));

test('requests are strictly one at a time', () =>
  withNode(async (node) => {
    const client = await node.connect();
    client.answer = () => undefined;
    for (const uid of ['p1', 'p2', 'p3']) node.addPod(uid);
    const added = ['p1', 'p2', 'p3'].map((uid) => node.server.add(uid));
    for (let answered = 0; answered < 3; answered++) {
      await eventually('one more request', () => client.unanswered === 1);
      assert.equal(client.log.length, answered + 2);
      client.reply();
    }
    await Promise.all(added);
    assert.deepEqual(client.log.slice(1), ['add p1', 'add p2', 'add p3']);
  }));

test('without a ztunnel that has greeted, adding fails at once', () =>
  withNode(async (node) => {
    node.addPod('p1');
    await assert.rejects(node.server.add('p1'), { code: 'AMBIT_CNI_NO_ZTUNNEL' });
    const silent = new ZdsClient(node.reactor, node.path, null);
    await assert.rejects(node.server.add('p1'), { code: 'AMBIT_CNI_NO_ZTUNNEL' });
    silent.close();
  }));

test('a refusal carries ztunnel’s words, and the connection goes on', () =>
  withNode(async (node) => {
    const client = await node.connect();
    node.addPod('p1');
    client.answer = (entry) => (entry === 'add p1' ? 'no proxy for you' : '');
    await assert.rejects(node.server.add('p1'), {
      code: 'AMBIT_CNI_ZTUNNEL_REFUSED',
      message: 'ztunnel: no proxy for you',
    });
    client.answer = () => '';
    await node.server.add('p1');
  }));

test('a pod that is refused in a snapshot does not keep the others from ztunnel', () =>
  withNode(async (node) => {
    for (const uid of ['p1', 'p2', 'p3']) node.addPod(uid);
    const client = new ZdsClient(node.reactor, node.path);
    client.answer = (entry) => (entry === 'add p2' ? 'not this one' : '');
    await eventually('snapshot', () => client.hasSnapshot && node.answers.size === 3);
    assert.deepEqual(client.log, ['add p1', 'add p2', 'add p3', 'snapshotSent']);
    assert.deepEqual(
      [...node.answers.values()].map((error) => error?.code),
      [undefined, 'AMBIT_CNI_ZTUNNEL_REFUSED', undefined],
    );
  }));

test('while two ztunnels overlap, both are told of every pod that comes or goes', () =>
  withNode(async (node) => {
    node.addPod('p1');
    const old = await node.connect();
    const next = await node.connect();
    node.addPod('p2');
    await node.server.add('p2');
    await eventually('both have it', () => old.pods.has('p2') && next.pods.has('p2'));
    node.removePod('p1');
    await node.server.remove('p1');
    await eventually('none has it', () => !old.pods.has('p1') && !next.pods.has('p1'));
    next.close();
    await eventually('one left', () => node.server.connections === 1);
    await node.server.add('p2');
    assert.equal(old.log.at(-1), 'add p2');
    assert.deepEqual(node.counts, [1, 2, 1]);
  }));

test('the answer of the newest counts, whatever the older one says or does not say', () =>
  withNode(async (node) => {
    const old = await node.connect();
    const next = await node.connect();
    node.addPod('p1');
    await node.server.add('p1');
    await eventually('the agent to know that the newest has its snapshot', () => next.pods.has('p1'));
    old.answer = () => 'not any more';
    await node.server.add('p1');
    next.answer = () => 'no';
    await assert.rejects(node.server.add('p1'), { code: 'AMBIT_CNI_ZTUNNEL_REFUSED' });
    [old.answer, next.answer] = [() => undefined, () => ''];
    await node.server.add('p1');
    await node.server.remove('p1');
    assert.equal(next.log.at(-1), 'del p1');
  }));

test('a ztunnel that hangs while it is told of the pods holds up no pod: the one before it answers', () =>
  withNode(async (node) => {
    node.addPod('p1');
    const old = await node.connect();
    const hung = new ZdsClient(node.reactor, node.path);
    hung.answer = () => undefined;
    await eventually('the first request of its snapshot', () => hung.unanswered === 1);
    node.addPod('p2');
    await node.server.add('p2');
    assert.equal(old.log.at(-1), 'add p2');
    hung.answer = () => '';
    hung.reply();
    await eventually('it has caught up', () => hung.pods.size === 2);
  }));

test('a pod that leaves during a snapshot is not told of, and its descriptor not sent', () =>
  withNode(async (node) => {
    for (const uid of ['p1', 'p2']) node.addPod(uid);
    const client = new ZdsClient(node.reactor, node.path);
    client.answer = () => undefined;
    await eventually('first request', () => client.unanswered === 1);
    node.removePod('p2');
    const removed = node.server.remove('p2');
    client.answer = () => '';
    client.reply();
    await removed;
    assert.deepEqual(client.log, ['add p1', 'snapshotSent', 'del p2']);
  }));

test('a pod that joins during a snapshot comes after it', () =>
  withNode(async (node) => {
    node.addPod('p1');
    const client = new ZdsClient(node.reactor, node.path);
    client.answer = () => undefined;
    await eventually('first request', () => client.unanswered === 1);
    node.addPod('p2');
    const added = node.server.add('p2');
    client.answer = () => '';
    client.reply();
    await added;
    assert.deepEqual(client.log, ['add p1', 'snapshotSent', 'add p2']);
  }));

test('a ztunnel that does not answer in time is dropped with all that was asked of it', () =>
  withNode(async (node) => {
    const client = await node.connect();
    client.answer = () => undefined;
    node.addPod('p1');
    const first = assert.rejects(node.server.add('p1'), { code: 'AMBIT_CNI_ZTUNNEL_TIMEOUT' });
    const second = assert.rejects(node.server.add('p1'), { code: 'AMBIT_CNI_ZTUNNEL_GONE' });
    await Promise.all([first, second]);
    await eventually('closed', () => client.isClosed);
    assert.equal(node.server.connections, 0);
  }, 50));

test('one that connects and says nothing is dropped', () =>
  withNode(async (node) => {
    const client = new ZdsClient(node.reactor, node.path, null);
    await eventually('closed', () => client.isClosed);
  }, 50));

test('what is not ZDS ends the connection: a wrong version, an answer to nothing, a descriptor', () =>
  withNode(async (node) => {
    const wrong = new ZdsClient(node.reactor, node.path, 2);
    const chatty = await node.connect();
    chatty.sendRaw(WorkloadResponse.encode({ payload: { kind: 'ack', value: { error: '' } } }));
    const before = readdirSync('/proc/self/fd').length;
    const generous = await node.connect();
    const file = openSync('/dev/null', 'r');
    generous.sendRaw(WorkloadResponse.encode({ payload: { kind: 'ack', value: { error: '' } } }), [file]);
    for (const client of [wrong, chatty, generous]) await eventually('closed', () => client.isClosed);
    closeSync(file);
    assert.ok(readdirSync('/proc/self/fd').length <= before);
    assert.equal(node.server.connections, 0);
  }));

test('a ztunnel that reconnects in a loop is held off', () =>
  withNode(async (node) => {
    const clients = Array.from({ length: 12 }, () => new ZdsClient(node.reactor, node.path));
    await eventually('most are refused', () => clients.filter((client) => client.isClosed).length >= 7);
    await eventually('some are served', () => clients.filter((client) => client.hasSnapshot).length === 5);
  }));

test('a socket that a killed agent left behind is replaced', () =>
  withNode(async (node) => {
    const next = new ZdsServer({
      reactor: node.reactor,
      path: node.path,
      workloads: { uids: () => [], get: () => undefined },
      onSnapshotAnswer() {},
      onConnections() {},
    });
    next.listen();
    const client = await node.connect();
    assert.deepEqual(client.log, ['snapshotSent']);
    next.close();
  }));

test('a thousand pods are told in one snapshot', () =>
  withNode(async (node) => {
    for (let i = 0; i < 1000; i++) node.addPod(`pod-${i}`);
    const client = await node.connect();
    assert.deepEqual([client.pods.size, client.log.length], [1000, 1001]);
    assert.ok(Math.max(...client.sizes) <= 1024);
  }));
