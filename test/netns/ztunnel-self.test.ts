/** The proxy's own pod as a destination: what scrapes its metrics can do so over HBONE. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { makeLeaf, makeRoot } from '../support/certificates.ts';
import { MeshNode, workloadOf } from '../support/mesh-node.ts';
import { inOwnNamespaces } from '../support/own-namespaces.ts';

const SELF = {
  name: 'ztunnel-1',
  namespace: 'ambit-system',
  serviceAccount: 'ztunnel',
  addresses: ['127.0.0.1'],
  path: '',
};

/** Asks for a tunnel as a proxy of another node would, and sends one HTTP request through it. */
async function fetchThroughTunnel(
  session: http2.ClientHttp2Session,
  authority: string,
): Promise<[number, string]> {
  const stream = session.request({ ':method': 'CONNECT', ':authority': authority });
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
  stream.write('GET /metrics HTTP/1.1\r\nHost: ztunnel\r\nConnection: close\r\n\r\n');
  let body = '';
  for await (const chunk of stream) body += chunk;
  return [headers[':status'], body];
}

inOwnNamespaces(import.meta.filename, () => {
  test('metrics of the proxy are read through a tunnel, and its other ports are as guarded as a pod’s', async () => {
    const authority = makeRoot('mesh root');
    const node = new MeshNode(authority);
    await node.start();
    node.workloads(workloadOf(SELF));
    node.issue('spiffe://cluster.local/ns/ambit-system/sa/ztunnel');
    node.pool.broadcast({ kind: 'serve-self', pod: { ...SELF, uid: 'self', searchDomains: [] } });
    const stats = createServer((_, response) => response.end('istio_build 1\n')).listen(0);
    await once(stats, 'listening');
    const { port } = stats.address() as AddressInfo;

    const leaf = makeLeaf(authority, { spiffeId: 'spiffe://cluster.local/ns/monitoring/sa/prometheus' });
    const session = http2.connect('https://127.0.0.1:15008', {
      key: leaf.privateKeyPem,
      cert: leaf.chainPem,
      ca: authority.certificatePem,
      checkServerIdentity: () => undefined,
      servername: '',
    });
    const [status, body] = await fetchThroughTunnel(session, `127.0.0.1:${port}`);
    assert.equal(status, 200);
    assert.match(body, /istio_build 1/);
    const refused = session.request({ ':method': 'CONNECT', ':authority': '127.0.0.1:15008' });
    const [headers] = await once(refused, 'response');
    assert.equal(headers[':status'], 503);
    session.destroy();
    stats.close();
    assert.deepEqual(node.failures, []);
  });
});
