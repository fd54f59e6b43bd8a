/** A hundred thousand workloads through the real thing once: cache, server, TLS, client and mesh state. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { ADDRESS_TYPE_URL, applyUpdate } from '../../../src/xds/mesh-resources.ts';
import { decodeAddress, workloadResource } from '../../../src/xds/workload-conversion.ts';
import * as wire from '../../../src/xds/workload-messages.ts';
import { eventually } from '../../support/eventually.ts';
import { ControlPlane, NodeProxy } from './xds-fixture.ts';

const COUNT = 100_000;
const DEADLINE_MS = 120_000;

function workload(i: number): Workload {
  const decoded = decodeAddress(
    wire.Address.encode({
      type: {
        kind: 'workload',
        value: {
          uid: `Kubernetes//Pod/shop/web-${i}`,
          name: `web-${i}`,
          namespace: 'shop',
          addresses: [Uint8Array.of(10, (i >> 16) & 255, (i >> 8) & 255, i & 255)],
          tunnelProtocol: wire.TunnelProtocol.HBONE,
          serviceAccount: 'web',
          node: `node-${i % 500}`,
          canonicalName: 'web',
          canonicalRevision: 'v1',
          workloadType: wire.WorkloadType.POD,
          workloadName: `web-${i}`,
          services: new Map([
            [
              `shop/web-${i % 1000}.shop.svc.cluster.local`,
              { ports: [{ servicePort: 80, targetPort: 8080 }] },
            ],
          ]),
        },
      },
    }),
  );
  assert.ok(decoded.kind === 'workload');
  return decoded.workload;
}

test(`${COUNT} workloads reach a mesh state; time and memory are told`, async (t) => {
  const megabytes = (): number => Math.round(process.memoryUsage().rss / 2 ** 20);
  const milestones: string[] = [];
  let since = performance.now();
  const milestone = (what: string): void => {
    milestones.push(`${what} ${Math.round(performance.now() - since)} ms, RSS ${megabytes()} MB`);
    since = performance.now();
  };
  const plane = new ControlPlane();
  plane.cache.update(
    ADDRESS_TYPE_URL,
    Array.from({ length: COUNT }, (_, i) => workloadResource(workload(i))),
  );
  plane.cache.markComplete();
  milestone('made and cached');
  await plane.listen();
  t.after(() => plane.close());
  const state = new MeshState();
  const proxy = new NodeProxy(t, plane.port, { consume: (update) => applyUpdate(state, update) });
  await eventually('everything is in', () => proxy.client.ready, DEADLINE_MS);
  milestone('pushed and applied');
  assert.equal(state.workloadCount, COUNT);
  await plane.close();
  const next = new ControlPlane();
  next.cache.update(
    ADDRESS_TYPE_URL,
    Array.from({ length: COUNT }, (_, i) => workloadResource(workload(i + 1))),
  );
  next.cache.markComplete();
  milestone('a second control plane made');
  await next.listen(plane.port);
  t.after(() => next.close());
  await eventually(
    'the difference',
    () => state.workloadByUid(`Kubernetes//Pod/shop/web-${COUNT}`) !== undefined,
    DEADLINE_MS,
  );
  milestone('reconnected');
  assert.equal(state.workloadCount, COUNT);
  assert.equal(next.delta.counters.get(ADDRESS_TYPE_URL)?.removedResources, 1);
  for (const line of milestones) t.diagnostic(line);
});
