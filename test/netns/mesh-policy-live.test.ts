/** What policy does to connections that are open, and what the proxies say of those they refuse. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  HTTP_PORT,
  peerAuthenticationManifest,
  policyManifest,
  TCP_PORT,
} from '../support/mesh-manifests.ts';
import type { OpenConnection } from '../support/pod-caller.ts';
import { CLIENTS, type ClientName, PolicyMatrix } from '../support/policy-matrix.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { until } from '../support/sandbox-commands.ts';
import type { SandboxSession } from '../support/sandbox-session.ts';

const DATABASE = { selector: { matchLabels: { app: 'database' } } };

function denyNamespaces(...namespaces: readonly string[]) {
  return { action: 'DENY', rules: [{ from: [{ source: { namespaces } }] }] };
}

describe('policy and connections that are open', () => {
  let matrix: PolicyMatrix;
  let session: SandboxSession;

  before(async () => {
    matrix = await PolicyMatrix.start('policy-live');
    session = matrix.session;
  });
  after(() => matrix?.session.dispose());

  /** A connection to the TCP echo of a server, with bytes moved on it. */
  async function hold(client: ClientName, server: string): Promise<OpenConnection> {
    const connection = await (await matrix.caller(client)).open(matrix.ipOf(server), TCP_PORT);
    assert.equal(await connection.exchange('before'), 'before');
    return connection;
  }

  async function holdAll<K extends string>(
    wanted: Readonly<Record<K, readonly [ClientName, string]>>,
  ): Promise<Record<K, OpenConnection>> {
    const entries = Object.entries<readonly [ClientName, string]>(wanted).map(
      async ([key, [client, server]]) => [key, await hold(client, server)] as const,
    );
    return Object.fromEntries(await Promise.all(entries)) as Record<K, OpenConnection>;
  }

  async function assertAlive(...connections: readonly OpenConnection[]): Promise<void> {
    for (const connection of connections) {
      assert.equal(await connection.exchange('after'), 'after');
      await connection.close();
    }
  }

  test('a new DENY policy cuts the connections that it forbids, on either node, and no other', async () => {
    const held = await holdAll({
      far: ['visitor', 'database'],
      near: ['visitor', 'cache'],
      elsewhere: ['visitor', 'museum'],
      allowed: ['orders', 'database'],
      plain: ['stranger', 'database'],
    });
    const policy = policyManifest('shop', 'no-visitors', denyNamespaces('other'));
    await session.apply(policy);
    try {
      assert.equal(await held.far.ending(), 'ECONNRESET');
      assert.equal(await held.near.ending(), 'ECONNRESET');
      const closed = /^connection closed due to policy change: explicitly denied by: shop\/no-visitors$/;
      const inbound = {
        'src.workload': 'visitor',
        direction: 'inbound',
        error: closed,
        code: 'AMBIT_POLICY_CHANGED',
      };
      const line = await session.accessLine('node2', { ...inbound, 'dst.workload': 'database' });
      assert.equal(line.fields.bytes_recv, '6');
      await session.accessLine('node1', { ...inbound, 'dst.workload': 'cache' });
      await assertAlive(held.elsewhere, held.allowed, held.plain);
    } finally {
      await session.remove(policy);
    }
    await matrix.serves({});
  });

  test('an ALLOW policy that is made narrower cuts those that it no longer allows', async () => {
    const allow = (namespaces: readonly string[]) =>
      policyManifest('shop', 'guests', { ...DATABASE, rules: [{ from: [{ source: { namespaces } }] }] });
    const served = ['orders', 'frontend', 'visitor'] as const;
    const both = { 'database:8080': served, 'database:8081': served };
    await matrix.inForce([allow(['shop', 'other'])], both, async () => {
      const held = await holdAll({ visitor: ['visitor', 'database'], orders: ['orders', 'database'] });
      await session.apply(allow(['shop']));
      assert.equal(await held.visitor.ending(), 'ECONNRESET');
      await session.accessLine('node2', {
        'src.workload': 'visitor',
        error: 'connection closed due to policy change: allow policies exist, but none allowed',
      });
      await assertAlive(held.orders);
    });
  });

  test('STRICT cuts plain text that is under way and leaves mutual TLS alone', async () => {
    const held = await holdAll({ plain: ['stranger', 'database'], secure: ['orders', 'database'] });
    const strict = peerAuthenticationManifest('shop', 'strict', { mtls: { mode: 'STRICT' } });
    await session.apply(strict);
    try {
      assert.equal(await held.plain.ending(), 'ECONNRESET');
      await assertAlive(held.secure);
    } finally {
      await session.remove(strict);
    }
    await matrix.serves({});
  });

  test('a label that brings a pod under a policy cuts what the policy forbids', async () => {
    const locked = { matchLabels: { locked: 'true' } };
    const policy = policyManifest('shop', 'locked', { ...denyNamespaces('other'), selector: locked });
    await matrix.inForce([policy], {}, async () => {
      const held = await holdAll({ visitor: ['visitor', 'database'], orders: ['orders', 'database'] });
      const database = { kind: 'pod', namespace: 'shop', name: 'database' };
      await session.label(database, { locked: 'true' });
      assert.equal(await held.visitor.ending(), 'ECONNRESET');
      await assertAlive(held.orders);
      await session.label(database, { locked: null });
    });
  });

  test('a call that is refused is told on both sides: 401 to the client, the policy at the server', async () => {
    const policy = policyManifest('shop', 'no-visitors', { ...DATABASE, ...denyNamespaces('other') });
    const served = ['orders', 'frontend', 'stranger'] as const;
    const failed = async (node: string, labels: Readonly<Record<string, string>>) =>
      sumOf(await session.metrics(node), 'istio_tcp_connections_failed_total', {
        source_workload: 'visitor',
        destination_workload: 'database',
        ...labels,
      });
    const source = { reporter: 'source', response_flags: 'CONNECT' };
    const destination = { reporter: 'destination', response_flags: 'DENY' };
    const before = [await failed('node1', source), await failed('node2', destination)];
    await matrix.inForce([policy], { 'database:8080': served, 'database:8081': served }, async () => {
      const outbound = { 'src.workload': 'visitor', 'dst.workload': 'database', direction: 'outbound' };
      const refused = await session.accessLine('node1', { ...outbound, error: /http status: 401/ });
      assert.deepEqual([refused.level, refused.message], ['warn', 'connection failed']);
      const inbound = {
        'src.identity': 'spiffe://cluster.local/ns/other/sa/visitor',
        'dst.workload': 'database',
        direction: 'inbound',
        code: 'AMBIT_POLICY_DENIED',
      };
      const error = 'policy rejection: explicitly denied by: shop/no-visitors';
      await session.accessLine('node2', { ...inbound, error }, 'connection failed');
      await until('both sides have counted it', async () => {
        return (
          (await failed('node1', source)) > before[0]! && (await failed('node2', destination)) > before[1]!
        );
      });
    });
  });

  test('plain text that is refused is told at the server, without an identity', async () => {
    const policy = policyManifest('shop', 'nobody', DATABASE);
    await matrix.inForce([policy], { 'database:8080': [], 'database:8081': [] }, async () => {
      const error = 'policy rejection: allow policies exist, but none allowed';
      const inbound = { 'src.workload': 'stranger', 'dst.workload': 'database', direction: 'inbound', error };
      const { fields } = await session.accessLine('node2', inbound);
      assert.equal(fields['src.identity'], undefined);
    });
  });

  test('a policy that is only rehearsed tells in the log what it would have refused', async () => {
    const policy = policyManifest(
      'shop',
      'rehearsed',
      { ...DATABASE, ...denyNamespaces('other') },
      { 'istio.io/dry-run': 'true' },
    );
    await matrix.inForce([policy], {}, async () => {
      const url = `http://${matrix.ipOf('database')}:${HTTP_PORT}/`;
      assert.equal(await (await matrix.caller('visitor')).outcome(url), 'ok');
      const line = await until('the rehearsal is in the log', async () =>
        session.logOf('node2').findLast((one) => one.scope === 'rbac'),
      );
      assert.equal(line.message, 'dry run: the connection would be denied');
      assert.equal(line.fields.reason, 'explicitly denied by: shop/rehearsed');
      assert.equal(line.fields['src.identity'], `spiffe://cluster.local/ns/${CLIENTS.visitor}/sa/visitor`);
    });
  });
});
