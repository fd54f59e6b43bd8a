/** Byte streams of pods through a real API server and kubelet: their ports, and their logs. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { type ForwardTarget, forwardPort } from '../../src/kube/port-forward.ts';
import { Cluster } from '../support/cluster/cluster.ts';
import { clusterPod, toolsContainer } from '../support/cluster/cluster-manifests.ts';
import { HTTP_PORT, namespaceManifest, TCP_PORT } from '../support/mesh-manifests.ts';

const NAMESPACE = 'kubelet-streams';

describe('streams of the kubelet', () => {
  let cluster: Cluster;
  let client: KubeClient;
  const target = (port: number): ForwardTarget => ({ namespace: NAMESPACE, pod: 'server', port });

  before(async () => {
    cluster = Cluster.current();
    client = await KubeClient.connect({ kubeconfig: process.env.KUBECONFIG });
    await cluster.apply(namespaceManifest(NAMESPACE));
    await cluster.apply(clusterPod({ name: 'server', namespace: NAMESPACE }));
    const talking = ['bash', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.2; done; sleep infinity'];
    const container = toolsContainer({ command: talking });
    await cluster.apply(clusterPod({ name: 'talker', namespace: NAMESPACE, container }));
    await cluster.podReady(NAMESPACE, 'server');
    await cluster.podReady(NAMESPACE, 'talker');
  });

  after(async () => {
    await client?.close();
    await cluster?.deleteNamespace(NAMESPACE);
    cluster?.dispose();
  });

  test('megabytes go there and come back as they were', async () => {
    const stream = await forwardPort(client, target(TCP_PORT));
    const sent = randomBytes(8 * 1024 * 1024);
    const received = createHash('sha256');
    let length = 0;
    stream.write(sent);
    for await (const chunk of stream) {
      const bytes: Buffer = chunk;
      received.update(bytes);
      length += bytes.length;
      if (length >= sent.length) break;
    }
    assert.equal(length, sent.length);
    assert.equal(received.digest('hex'), createHash('sha256').update(sent).digest('hex'));
  });

  test('an HTTP exchange works, and the end of the server’s side is the end of the stream', async () => {
    const stream = await forwardPort(client, target(HTTP_PORT));
    stream.write('GET / HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    assert.match(text, /^HTTP\/1\.1 200 /);
  });

  test('many streams at once are separate streams', async () => {
    const echo = async (text: string) => {
      const stream = await forwardPort(client, target(TCP_PORT));
      stream.write(text);
      const [answer] = await once(stream, 'data');
      stream.destroy();
      return String(answer);
    };
    const texts = Array.from({ length: 20 }, (_, i) => `stream ${i}`);
    assert.deepEqual(await Promise.all(texts.map(echo)), texts);
  });

  test('logs are followed line by line for as long as one reads', async () => {
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/talker/log`;
    const stream = await client.stream({ path, query: { follow: true } });
    let text = '';
    for await (const chunk of stream) {
      text += String(chunk);
      if (text.includes('line 3\n')) break;
    }
    assert.equal(text, 'line 1\nline 2\nline 3\n');
    await assert.rejects(client.stream({ path: path.replace('talker', 'nobody') }), { status: 404 });
  });

  test('a port where nobody listens is told by the stream, in the kubelet’s words', async () => {
    const stream = await forwardPort(client, target(1));
    stream.write('x');
    const [error] = await once(stream, 'error');
    assert.equal(error.code, 'AMBIT_KUBE_FORWARD_FAILED');
    assert.match(error.message, /port 1 of pod kubelet-streams\/server cannot be reached: .*refused/s);
  });

  test('a pod that is not there, or that one may not reach, is told at once', async () => {
    const missing = forwardPort(client, { ...target(TCP_PORT), pod: 'nobody' });
    await assert.rejects(missing, { code: 'AMBIT_KUBE_FORWARD_FAILED', message: /nobody.*not found/s });
    const headers = async () => ({});
    const { server } = client;
    const strangers = { server, namespace: 'x', proxy: undefined, headers, renew: () => {} };
    const tls = async () => ({ rejectUnauthorized: false });
    await using stranger = await KubeClient.with({ ...strangers, tls });
    await assert.rejects(forwardPort(stranger, target(TCP_PORT)), {
      code: 'AMBIT_KUBE_FORWARD_FAILED',
      message: /40[13]/,
    });
  });
});
