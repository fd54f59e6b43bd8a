/** What a sandbox does for the mesh: its processes, their tokens, and pods that wait for their agent. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decodeJwt } from 'jose';
import type { Environment } from '../../src/sandbox/client/environment.ts';
import { DEADLINE_MS, SandboxCommands, USERS, until } from '../support/sandbox-commands.ts';

const STAND_IN = join(import.meta.dirname, '..', 'support', 'stand-in-ztunnel.ts');

function pod(name: string, node: string, namespace = 'shop'): string {
  const spec = {
    nodeName: node,
    containers: [{ name: 'app', image: 'host', command: ['sleep', 'infinity'] }],
  };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec });
}

const AMBIENT = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
});

interface Pod {
  readonly metadata: { readonly uid: string; readonly annotations?: Record<string, string> };
  readonly status: {
    readonly phase: string;
    readonly podIP: string;
    readonly containerStatuses: readonly {
      readonly state: { readonly waiting?: { readonly message?: string } };
    }[];
  };
}

interface Report {
  readonly env: Record<string, string>;
  readonly token: string;
  readonly root: string;
}

/** Node 1 has a proxy that never meets its agent, node 2 one that takes every pod. */
describe('the mesh of a sandbox', { timeout: DEADLINE_MS }, () => {
  const user = USERS.at(-1)!;
  const sandbox = new SandboxCommands(user);

  before(async () => {
    const path = join(sandbox.folder, 'shop.yaml');
    const pods = [pod('waiting', 'node1'), pod('taken', 'node2'), pod('outside', 'node1', 'default')];
    writeFileSync(path, [AMBIENT, ...pods].join('\n---\n'), { mode: 0o644 });
    const standIn = `exec ${process.execPath} --disable-warning=ExperimentalWarning ${STAND_IN}`;
    const ztunnels = ['--ztunnel', 'node1=sleep infinity', '--ztunnel', `node2=${standIn}`];
    const up = await sandbox.run(['up', '--detach', '--timeout', '1', '-f', path, ...ztunnels]);
    assert.equal(up.code, 1, 'a pod whose agent has no proxy must not become ready');
    assert.match(up.stderr, / {2}shop\/waiting: /);
    await until(
      'the pod that is taken runs',
      async () => (await getPod('taken')).status.phase === 'Running',
      60_000,
    );
  });
  after(() => sandbox.dispose());

  const getPod = (name: string, namespace = 'shop') => sandbox.json<Pod>('get', 'pod', name, '-n', namespace);
  const report = async (): Promise<Report> => {
    const { nodes } = await sandbox.json<Environment>('env');
    return JSON.parse(readFileSync(join(nodes[1]!.ztunnel!.workingDirectory, 'report.json'), 'utf8'));
  };

  test('a pod of the mesh starts only when the agent of its node has taken it', async () => {
    const waiting = await until('the agent has refused the pod', async () => {
      const one = await getPod('waiting');
      return (
        /no ztunnel is connected/.test(one.status.containerStatuses[0]!.state.waiting?.message ?? '') && one
      );
    });
    assert.equal(waiting.status.phase, 'Pending');
    // The control plane must know its address before it runs.
    assert.match(waiting.status.podIP, /^10\.244\.1\./);
    assert.equal((await getPod('outside', 'default')).status.phase, 'Running');
  });

  test('what agent and control plane write to objects is seen in them', async () => {
    const redirection = 'ambient.istio.io/redirection';
    await until(
      'the agent says so',
      async () => (await getPod('taken')).metadata.annotations?.[redirection] === 'enabled',
    );
    assert.match(await sandbox.must('get', 'pods', '-n', 'shop', '-o', 'wide'), /taken .* enabled$/m);
    assert.equal((await getPod('outside', 'default')).metadata.annotations?.[redirection], undefined);
  });

  test('another program gets the environment, the token and the root certificate of ztunnel', async () => {
    const { env, token, root } = await report();
    const { nodes, controlPlane } = await sandbox.json<Environment>('env');
    const ztunnel = await sandbox.json<Pod>('get', 'pod', 'ztunnel-node2', '-n', 'ambit-system');
    assert.equal(env.XDS_ADDRESS, controlPlane?.address);
    assert.equal(env.CA_ADDRESS, controlPlane?.address);
    assert.equal(env.INPOD_UDS, nodes[1]?.cni?.zdsSocket);
    assert.equal(env.NODE_NAME, 'node2');
    assert.equal(env.INSTANCE_IP, ztunnel.status.podIP);
    assert.equal(env.PROXY_MODE, 'shared');
    assert.equal(root, readFileSync(controlPlane!.rootFile, 'utf8'));
    assert.match(root, /BEGIN CERTIFICATE/);
    const claims = decodeJwt(token);
    assert.equal(claims.sub, 'system:serviceaccount:ambit-system:ztunnel');
    const bound = claims['kubernetes.io'] as { pod: { name: string; uid: string } };
    assert.deepEqual(bound.pod, { name: 'ztunnel-node2', uid: ztunnel.metadata.uid });
  });

  test('the control plane is reached from every node by its name, over TLS that its root verifies', async () => {
    const { nodes, controlPlane } = await sandbox.json<Environment>('env');
    for (const { name, ztunnel } of nodes) {
      const curl = [
        'curl',
        '-sS',
        '--http2',
        '--cacert',
        ztunnel!.rootFile,
        '-o',
        '/dev/null',
        '-w',
        '%{ssl_verify_result}',
      ];
      assert.equal(await sandbox.must('node', 'exec', name, '--', ...curl, controlPlane!.address), '0');
    }
  });

  test('restart ends a process of the mesh and starts it again, on one node or on all', async () => {
    const pids = async () => {
      const { nodes } = await sandbox.json<Environment>('env');
      return nodes.map((node) => [node.cni?.pid, node.ztunnel?.pid]);
    };
    const before = await pids();
    assert.equal(
      await sandbox.must('restart', 'ztunnel', '--node', 'node1'),
      'pod/ztunnel-node1 restarted\n',
    );
    const between = await pids();
    assert.notEqual(between[0]![1], before[0]![1]);
    assert.deepEqual([between[0]![0], between[1]], [before[0]![0], before[1]]);
    await sandbox.must('restart', 'cni');
    const afterwards = await pids();
    assert.notEqual(afterwards[0]![0], before[0]![0]);
    assert.notEqual(afterwards[1]![0], before[1]![0]);
    assert.match(await sandbox.must('get', 'pods', '-n', 'ambit-system'), /cni-node1 +\d\/1 +Running +1/);
    assert.match(await sandbox.must('logs', 'controlplane'), /serving/);
  });

  test('a deleted process of the mesh comes back with a token of its own', async () => {
    const before = await sandbox.json<Pod>('get', 'pod', 'ztunnel-node2', '-n', 'ambit-system');
    await sandbox.must('delete', 'pod', 'ztunnel-node2', '-n', 'ambit-system', '--no-wait');
    const { uid } = await until('the pod is back', async () => {
      const { code, stdout } = await sandbox.run([
        'get',
        'pod',
        'ztunnel-node2',
        '-n',
        'ambit-system',
        '-o',
        'json',
      ]);
      const found = code === 0 ? (JSON.parse(stdout.toString('utf8')) as Pod) : undefined;
      return found !== undefined && found.metadata.uid !== before.metadata.uid && found.metadata;
    });
    await until('it has its token', async () => {
      const bound = decodeJwt((await report()).token)['kubernetes.io'] as { pod: { uid: string } };
      return bound.pod.uid === uid;
    });
  });
});
