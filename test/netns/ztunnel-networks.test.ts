/** A call to a workload on another network: a tunnel to the gateway, and within it one to whom the gateway picks. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { parseIp } from '../../src/base/ip.ts';
import { chooseIptables } from '../../src/cni/iptables-tools.ts';
import { podOptions } from '../../src/cni/pod-options.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import { makeLeaf, makeRoot } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { MeshNode, serviceOf, type TestPod, workloadOf } from '../support/mesh-node.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';
import { PodNamespace } from '../support/pod-namespace.ts';

const execFileAsync = promisify(execFile);
const GATEWAY = 'spiffe://cluster.local/ns/shop/sa/gateway';
const SERVER = 'spiffe://cluster.local/ns/shop/sa/server';
const HOSTNAME = 'server.shop.svc.cluster.local';

inOwnNamespaces(import.meta.filename, () => {
  const authority = makeRoot('mesh root');
  const router = new PodNamespace();
  const pods = new Map<string, { pod: TestPod; netns: PodNamespace }>();
  const closers: (() => void)[] = [];
  after(() => {
    for (const close of closers) close();
  });

  function makePod(name: string, index: number): TestPod {
    const netns = new PodNamespace();
    netns.connect(router, `10.0.0.${index}`, `10.0.${index}.254`);
    const addresses = [`10.0.0.${index}`];
    const pod = { name, namespace: 'shop', serviceAccount: name, addresses, path: netns.path };
    pods.set(name, { pod, netns });
    return pod;
  }

  /** Resolves when it listens; `output` then grows by a line for every request. */
  async function startGateway(): Promise<{ output: string }> {
    const leaf = makeLeaf(authority, { spiffeId: GATEWAY });
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'));
    writeFileSync(join(folder, 'key.pem'), leaf.privateKeyPem);
    writeFileSync(join(folder, 'chain.pem'), leaf.chainPem);
    writeFileSync(join(folder, 'root.pem'), authority.certificatePem);
    const program = join(import.meta.dirname, '..', 'support', 'east-west-gateway.ts');
    const { netns } = pods.get('gateway')!;
    const child = spawn('ip', ['netns', 'exec', netns.name, process.execPath, program, folder, '10.0.0.2']);
    closers.push(
      () => child.kill(),
      () => rmSync(folder, { recursive: true }),
    );
    const seen = { output: '' };
    child.stdout.on('data', (chunk) => {
      seen.output += chunk;
    });
    await eventually('the gateway to listen', () => seen.output.includes('listening'));
    return seen;
  }

  async function startNode(pod: TestPod, network: string): Promise<MeshNode> {
    const { netns } = pods.get(pod.name)!;
    await new Redirection(await chooseIptables('nft')).ensure(
      netns.namespace,
      podOptions({}, true).options,
      true,
    );
    const node = new MeshNode(authority);
    await node.start({ NETWORK: network });
    assert.equal(await node.addPod(pod), undefined);
    return node;
  }

  test('the gateway sees a name and no byte of the application; the server sees the client’s identity', async () => {
    router.run("sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'");
    const [client, server] = [makePod('client', 1), makePod('server', 2)];
    const gateway = makePod('gateway', 3);
    const seen = await startGateway();
    const echo = createServer((socket) => socket.pipe(socket));
    pods.get('server')!.netns.namespace.run(() => echo.listen(8080));
    closers.push(() => echo.close());
    const [near, far] = [await startNode(client, 'n1'), await startNode(server, 'n2')];

    const services = new Map([[`shop/${HOSTNAME}`, [{ servicePort: 80, targetPort: 8080 }]]]);
    const vip = { network: 'n1', ip: parseIp('10.96.0.2')! };
    const service = { ...serviceOf('server', 'shop', [], { 80: 8080 }), subjectAltNames: [SERVER] };
    near.services({ ...service, addresses: [vip] });
    near.workloads(
      workloadOf(client, { network: 'n1' }),
      workloadOf(gateway, { network: 'n1' }),
      workloadOf(server, {
        uid: 'n2/SplitHorizonWorkload/shop/gateway/10.0.0.3/shop/server',
        addresses: [],
        network: 'n2',
        services,
        networkGateway: {
          destination: { kind: 'address', network: 'n1', ip: parseIp('10.0.0.3')! },
          hboneMtlsPort: 15008,
        },
      }),
    );
    far.services({ ...service, addresses: [{ network: 'n2', ip: parseIp('10.97.0.2')! }] });
    far.workloads(workloadOf(server, { network: 'n2', services }));

    const script = 'exec 3<>/dev/tcp/10.96.0.2/80 && printf hello >&3 && timeout 5 head -c 5 <&3';
    const args = ['netns', 'exec', pods.get('client')!.netns.name, 'timeout', '8', 'bash', '-c', script];
    assert.equal((await execFileAsync('ip', args)).stdout, 'hello');
    assert.equal(seen.output, `listening\nCONNECT ${HOSTNAME}:80\n`);
    const inbound = { reporter: 'destination', connection_security_policy: 'mutual_tls' };
    const principal = 'spiffe://cluster.local/ns/shop/sa/client';
    assert.equal(
      far.total('istio_tcp_connections_opened_total', { ...inbound, source_principal: principal }),
      1,
    );
  });
});
