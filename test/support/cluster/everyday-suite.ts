/** What people do with pods every day. It has to work on the bare cluster, and in the mesh exactly so. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HTTP_PORT, type Manifest, namespaceManifest, serviceManifest } from '../mesh-manifests.ts';
import type { PodCaller } from '../pod-caller.ts';
import { Cluster } from './cluster.ts';
import { clusterPod, echoContainer, podSpec, toolsContainer, workloadManifest } from './cluster-manifests.ts';
import type { CommandResult } from './command.ts';
import { webhookManifests } from './webhook.ts';

export interface EverydayPlan {
  readonly namespace: string;
  /** Of the namespace. */
  readonly labels: Readonly<Record<string, string>>;
  /** Called when the pods run. */
  readonly whenRunning?: (cluster: Cluster) => Promise<void>;
}

/** An address for which no pod is needed: a hostNetwork pod has its node's. */
const HOST_PORT = 18080;

function everydayManifests(namespace: string, labels: EverydayPlan['labels']): readonly Manifest[] {
  return [
    namespaceManifest(namespace, labels),
    clusterPod({ name: 'client', namespace, node: 'node1', container: toolsContainer() }),
    clusterPod({ name: 'near', namespace, node: 'node1' }),
    clusterPod({ name: 'far', namespace, node: 'node2' }),
    serviceManifest({ name: 'far', namespace, families: 'single' }),
    workloadManifest({ kind: 'StatefulSet', name: 'store', namespace, replicas: 2 }),
    serviceManifest({ name: 'store', namespace, headless: true, families: 'single' }),
    clusterPod({
      name: 'host',
      namespace,
      node: 'node2',
      container: hostContainer(),
      spec: { hostNetwork: true },
    }),
  ];
}

function hostContainer(): Manifest {
  const { command } = echoContainer() as { command: readonly string[] };
  const words = command.slice(0, command.indexOf('--http'));
  return echoContainer({
    command: [...words, '--http', String(HOST_PORT)],
    readinessProbe: { httpGet: { path: '/', port: HOST_PORT }, periodSeconds: 1 },
  });
}

/** A Job of one pod that runs a shell script, after an init container has run another. */
function jobManifest(
  namespace: string,
  name: string,
  scripts: { readonly init: string; readonly main: string },
): Manifest {
  const container = (script: string, at: string) =>
    toolsContainer({ name: at, command: ['bash', '-ec', script] });
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace },
    spec: {
      backoffLimit: 0,
      template: {
        spec: podSpec([container(scripts.main, 'main')], {
          initContainers: [container(scripts.init, 'init')],
          restartPolicy: 'Never',
        }),
      },
    },
  };
}

/** Registers the tests. */
export function describeEveryday({ namespace, labels, whenRunning }: EverydayPlan): void {
  describe(`everyday life in ${namespace}`, () => {
    let cluster: Cluster;
    let client: PodCaller;

    before(async () => {
      cluster = Cluster.current();
      await cluster.apply(...everydayManifests(namespace, labels), ...(await webhookManifests(namespace)));
      await cluster.podsReady(namespace, 7);
      await whenRunning?.(cluster);
      client = await cluster.callerIn(namespace, 'client');
    });
    after(async () => {
      await cluster.kubectl(['delete', 'validatingwebhookconfiguration', namespace, '--ignore-not-found']);
      await cluster.deleteNamespace(namespace);
      cluster.dispose();
    });

    test('pods call each other on a node and across nodes, and the server sees the address of the client', async () => {
      const own = await cluster.podIp(namespace, 'client');
      for (const name of ['near', 'far']) {
        const answer = await client.echo(`http://${await cluster.podIp(namespace, name)}:${HTTP_PORT}/`);
        assert.equal(answer.name, name);
        assert.equal(answer.source.ip, own);
      }
    });

    test('a Service answers at its address, by its short name and by its full one', async () => {
      const address = await cluster.clusterIp(namespace, 'far');
      for (const host of [address, 'far', `far.${namespace}`, `far.${namespace}.svc.cluster.local`]) {
        // Where a Service has just been made, its rules may not be on every node yet.
        const answer = await cluster.until(`${host} answers`, () => client.echo(`http://${host}/`));
        assert.equal(answer.name, 'far');
      }
    });

    test('each pod of a StatefulSet answers by its own name', async () => {
      for (const name of ['store-0', 'store-1']) {
        const url = `http://${name}.store.${namespace}.svc.cluster.local:${HTTP_PORT}/`;
        const answer = await cluster.until(`${name} answers`, () => client.echo(url));
        assert.equal(answer.name, name);
      }
    });

    test('a name that does not exist is told to be unknown', async () => {
      assert.deepEqual(await client.lookup('nobody'), []);
      assert.deepEqual(await client.lookup('outside.example'), []);
    });

    test('kubectl exec passes input, output and the exit code', async () => {
      const args = ['--namespace', namespace, 'exec', '--stdin', 'client', '--', 'bash', '-c', 'cat; exit 7'];
      const result: CommandResult = await cluster.tryKubectl(args, { input: 'hello' });
      assert.equal(result.output, 'hello');
      assert.equal(result.code, 7);
    });

    test('kubectl logs shows what a container has written', async () => {
      await cluster.exec(namespace, 'client', 'bash', '-c', 'echo written >/proc/1/fd/1');
      await cluster.until('the log to have the line', async () =>
        (await cluster.logs(namespace, 'client')).includes('written'),
      );
    });

    test('kubectl port-forward reaches a pod and a Service', async () => {
      for (const [resource, port] of [
        ['pod/far', HTTP_PORT],
        ['service/far', 80],
      ] as const) {
        const forwarded = await cluster.forwardPort(namespace, resource, port);
        const response = await fetch(`http://127.0.0.1:${forwarded.port}/`);
        assert.equal(((await response.json()) as { name: string }).name, 'far');
        await forwarded.close();
      }
    });

    test('a Job finishes whose init container has called a Service before', async () => {
      const call = `curl --silent --show-error --fail --max-time 10 http://far.${namespace}/`;
      await cluster.apply(jobManifest(namespace, 'caller', { init: call, main: call }));
      await cluster.kubectl([
        '--namespace',
        namespace,
        'wait',
        '--for=condition=Complete',
        '--timeout=90s',
        'job/caller',
      ]);
      assert.match(await cluster.logs(namespace, 'job/caller'), /"name":"far"/);
    });

    test('a pod asks the API server with its own token', async () => {
      const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
      const ask = `curl --silent --show-error --max-time 10 --cacert ${folder}/ca.crt \
        --header "Authorization: Bearer $(cat ${folder}/token)" https://kubernetes.default.svc/api/v1/pods`;
      const answer = await cluster.exec(namespace, 'client', 'bash', '-c', ask);
      assert.match(answer, new RegExp(`system:serviceaccount:${namespace}:default\\\\?" cannot list`));
    });

    test('the API server asks a webhook that a pod serves', async () => {
      const map = (name: string, extra: object) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace, labels: { judged: 'yes', ...extra } },
      });
      await cluster.until('the webhook to be reached', async () => {
        await cluster.apply(map('allowed', {}));
        return true;
      });
      await assert.rejects(
        cluster.apply(map('refused', { forbidden: 'yes' })),
        /refused by the webhook of the test/,
      );
    });

    test('a pod on the network of its node is called by pods, and calls them', async () => {
      const host = await cluster.podIp(namespace, 'host');
      assert.equal((await client.echo(`http://${host}:${HOST_PORT}/`)).name, 'host');
      const near = await cluster.podIp(namespace, 'near');
      assert.equal((await cluster.callerOn('node2').echo(`http://${near}:${HTTP_PORT}/`)).name, 'near');
    });

    test('a node calls pods by their addresses and by a Service', async () => {
      for (const node of ['node1', 'node2', 'node3']) {
        const caller = cluster.callerOn(node);
        assert.equal((await caller.echo(`http://${await cluster.clusterIp(namespace, 'far')}/`)).name, 'far');
        assert.equal(
          (await caller.echo(`http://${await cluster.podIp(namespace, 'near')}:${HTTP_PORT}/`)).name,
          'near',
        );
      }
    });
  });
}
