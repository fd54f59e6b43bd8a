/** Calls that pass through a waypoint, one that ends HBONE itself and one that leaves that to the proxy. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { parseIp } from '../../src/base/ip.ts';
import type { GatewayAddress } from '../../src/mesh/gateway-address.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { makeLeaf, makeRevocationList, makeRoot } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { openHttp2, statusOf } from '../support/hostile-peer.ts';
import { MeshNode, serviceOf, workloadOf } from '../support/mesh-node.ts';
import { MeshPods, type PodProcess, runInPod, shellInPod, talk } from '../support/mesh-pods.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

const PORT = 8080;
const VIP = '10.96.0.2';
const WAYPOINT_VIP = '10.96.0.3';
const HOSTNAME = 'server.shop.svc.cluster.local';
const WAYPOINT_HOSTNAME = 'waypoint.shop.svc.cluster.local';
const PROGRAM = join(import.meta.dirname, '..', 'support', 'stand-in-waypoint.ts');
const identity = (name: string) => `spiffe://cluster.local/ns/shop/sa/${name}`;

const byAddress = (ip: string): GatewayAddress => ({
  destination: { kind: 'address', network: '', ip: parseIp(ip)! },
  hboneMtlsPort: 15008,
});
const BY_HOSTNAME: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'shop', hostname: WAYPOINT_HOSTNAME },
  hboneMtlsPort: 15008,
};

/** What the stand-in has seen of a request. */
interface Seen {
  readonly method: string;
  readonly authority: string;
  readonly forwarded: string;
  readonly baggage: string;
  readonly client: string;
}

inOwnNamespaces(
  import.meta.filename,
  () => {
    const authority = makeRoot('mesh root');
    const pods = new MeshPods();
    const [client, server] = [pods.make('client', 1), pods.make('server', 2)];
    const [waypoint, sandwich] = [pods.make('waypoint', 3), pods.make('sandwich', 4)];
    pods.attachSelf(9);
    const nodes: MeshNode[] = [];
    const seen: Seen[] = [];
    const closers: (() => void)[] = [];
    const received: string[] = [];

    function startWaypoint(): PodProcess {
      const leaf = makeLeaf(authority, { spiffeId: identity('waypoint') });
      const folder = mkdtempSync(join(tmpdir(), 'waypoint-'));
      closers.push(() => rmSync(folder, { recursive: true }));
      writeFileSync(join(folder, 'key.pem'), leaf.privateKeyPem);
      writeFileSync(join(folder, 'chain.pem'), leaf.chainPem);
      writeFileSync(join(folder, 'root.pem'), authority.certificatePem);
      const child = runInPod(waypoint, PROGRAM, folder, '10.0.0.2', String(PORT));
      closers.push(() => child.kill());
      return child;
    }

    async function whenListening(child: PodProcess): Promise<void> {
      const lines = createInterface(child.stdout);
      await once(lines, 'line');
      lines.on('line', (line) => seen.push(JSON.parse(line)));
    }

    /** What every proxy of this test knows: the server as it is bound now. */
    async function tell(bound: {
      readonly service?: Partial<Service>;
      readonly server?: Partial<Workload>;
      readonly sandwich?: Partial<Workload>;
      readonly waypoint?: Partial<Workload>;
    }): Promise<void> {
      const services = new Map([[`shop/${HOSTNAME}`, [{ servicePort: 80, targetPort: PORT }]]]);
      const ofWaypoint = new Map([
        [`shop/${WAYPOINT_HOSTNAME}`, [{ servicePort: 15008, targetPort: 15008 }]],
      ]);
      for (const node of nodes) {
        node.services(
          { ...serviceOf('server', 'shop', [VIP], { 80: PORT }), ...bound.service },
          serviceOf('waypoint', 'shop', [WAYPOINT_VIP], { 15008: 15008 }),
        );
        node.workloads(
          workloadOf(client),
          workloadOf(server, { services, ...bound.server }),
          workloadOf(waypoint, { services: ofWaypoint, nativeTunnel: true, ...bound.waypoint }),
          workloadOf(sandwich, bound.sandwich),
        );
        await node.settled();
      }
    }

    function serve(pod: typeof client, port: number, onSocket: (socket: Socket) => void): void {
      const listener: Server = createServer((socket) => {
        socket.on('error', () => {});
        onSocket(socket);
      });
      pod.netns.namespace.run(() => listener.listen(port));
      closers.push(() => listener.close());
    }

    before(async () => {
      await pods.redirect(client, server, sandwich);
      for (const pod of [client, server, sandwich]) {
        const node = new MeshNode(authority);
        nodes.push(node);
        await node.start();
        assert.equal(await node.addPod(pod), undefined);
      }
      serve(server, PORT, (socket) => socket.pipe(socket));
      serve(sandwich, 15088, (socket) => {
        socket.on('data', (data) => received.push(data.toString('hex')));
        socket.once('data', () => socket.write('gone through'));
      });
      await whenListening(startWaypoint());
      await tell({});
    });

    after(() => {
      for (const close of closers) close();
      for (const node of nodes) assert.deepEqual(node.failures, []);
    });

    const fromWaypoint = () =>
      nodes[1]!.total('istio_tcp_connections_opened_total', {
        reporter: 'destination',
        source_principal: identity('waypoint'),
        connection_security_policy: 'mutual_tls',
      });

    for (const [what, bound, address, asked] of [
      [
        'a service, named by address',
        { service: { waypoint: byAddress('10.0.0.3') } },
        [VIP, 80],
        `${VIP}:80`,
      ],
      ['a service, named by host name', { service: { waypoint: BY_HOSTNAME } }, [VIP, 80], `${VIP}:80`],
      [
        'a workload, named by address',
        { server: { waypoint: byAddress('10.0.0.3') } },
        ['10.0.0.2', PORT],
        `10.0.0.2:${PORT}`,
      ],
      [
        'a workload, named by host name',
        { server: { waypoint: BY_HOSTNAME } },
        ['10.0.0.2', PORT],
        `10.0.0.2:${PORT}`,
      ],
    ] as const) {
      test(`a call passes through the waypoint of ${what}, which is asked for what the client asked for`, async () => {
        await tell(bound);
        const before = fromWaypoint();
        const count = seen.length;
        assert.equal(await talk(client, address[0], address[1], 'hello'), 'hello');
        const request = seen.at(-1)!;
        assert.equal(seen.length, count + 1);
        assert.deepEqual([request.method, request.authority], ['CONNECT', asked]);
        assert.equal(request.client, identity('client'));
        assert.match(request.forwarded, /^for="10\.0\.0\.1:\d+"/);
        assert.match(request.baggage, /k8s\.namespace\.name=shop/);
        await eventually('the server’s side is counted', () => fromWaypoint() === before + 1);
        const outbound = { reporter: 'source', destination_principal: identity('waypoint') };
        assert.ok(nodes[0]!.total('istio_tcp_connections_opened_total', outbound) > 0);
      });
    }

    test('what is addressed to the pod does not pass through the waypoint of its service', async () => {
      await tell({ service: { waypoint: byAddress('10.0.0.3') } });
      const count = seen.length;
      assert.equal(await talk(client, '10.0.0.2', PORT, 'hello'), 'hello');
      assert.equal(seen.length, count);
    });

    for (const [what, protocol] of [
      ['with the PROXY protocol', 'PROXY'],
      ['as plain connections', 'NONE'],
    ] as const) {
      test(`a waypoint behind a proxy of its own gets what its proxy took, ${what}`, async () => {
        await tell({
          service: { waypoint: byAddress('10.0.0.4') },
          sandwich: { applicationTunnel: { protocol, port: 15088 } },
        });
        received.length = 0;
        assert.equal(await talk(client, VIP, 80, 'twelve bytes'), 'gone through');
        await eventually('the bytes', () => received.join('').endsWith(hex('twelve bytes')));
        const text = received.join('');
        if (protocol === 'NONE') return assert.equal(text, hex('twelve bytes'));
        assert.ok(text.startsWith(hex('\r\n\r\n\0\r\nQUIT\n\x21\x11')), text);
        // From the client to what the client asked for, with its identity.
        assert.match(text, /^.{32}0a0000010a600002....0050d0/);
        assert.ok(text.includes(hex(identity('client'))));
      });
    }

    test('a tunnel to a host name leads to the port that the service has at the pod', async () => {
      await tell({});
      const leaf = makeLeaf(authority, { spiffeId: identity('gateway') });
      const session = await openHttp2({ host: '10.0.0.2', port: 15008 }, leaf);
      closers.push(() => session.destroy());
      const ask = (authority: string) => statusOf(session, { ':method': 'CONNECT', ':authority': authority });
      assert.equal(await ask(`${HOSTNAME}:80`), 200);
      assert.equal(await ask(`${HOSTNAME}:81`), 503);
      // A named port: the service leaves its number to each pod.
      const named = { ports: [{ servicePort: 80, targetPort: 0, appProtocol: 'TCP' as const }] };
      await tell({ service: named });
      assert.equal(await ask(`${HOSTNAME}:80`), 200);
      await tell({ service: named, server: { services: new Map([[`shop/${HOSTNAME}`, []]]) } });
      assert.equal(await ask(`${HOSTNAME}:80`), 503);
    });

    test('somebody else at the address of the waypoint gets nothing', async () => {
      const waypointOf = { waypoint: byAddress('10.0.0.3') };
      await tell({ service: waypointOf, waypoint: { serviceAccount: 'expected' } });
      const [count, from] = [seen.length, nodes[0]!.log.length];
      assert.equal(await talk(client, VIP, 80, 'hello'), '');
      assert.equal(seen.length, count);
      await eventually('it is told', () => nodes[0]!.log.includes('AMBIT_PEER_IDENTITY_MISMATCH', from));
    });

    test('a server whose certificate is revoked is called no more, and what is open to it is cut', async () => {
      await tell({});
      const opened = () => nodes[1]!.total('istio_tcp_connections_opened_total', {});
      const before = opened();
      const script = `exec 3<>/dev/tcp/10.0.0.2/${PORT}; printf x >&3; head -c 1 <&3; cat <&3; echo cut`;
      const held = shellInPod(client, script, 20);
      await eventually('it stands', () => opened() === before + 1);
      const content = Buffer.from(makeRevocationList(authority, nodes[1]!.leaves.get(identity('server'))!));
      nodes[0]!.pool.broadcast({ kind: 'revocations', content });
      // The answer may be cut as well.
      assert.match(await held, /^x?cut$/m);
      const from = nodes[0]!.log.length;
      assert.equal(await talk(client, '10.0.0.2', PORT, 'hello'), '');
      await eventually('it is told', () => nodes[0]!.log.includes('AMBIT_PEER_REVOKED', from));
    });
  },
  { users: 'one' },
);

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}
