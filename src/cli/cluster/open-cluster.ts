/** Opens the cluster that the flags of a command mean; loads the client of the API server, which costs time. */

import { performance } from 'node:perf_hooks';
import { KubeClient } from '../../kube/kube-client.ts';
import { forwardPort } from '../../kube/port-forward.ts';
import type { Cluster, PodRequest } from './cluster.ts';
import type { ApiRequest } from './cluster-api.ts';
import type { ClusterOptions } from './cluster-options.ts';
import { requestThrough } from './pod-http.ts';

/** How long a part may take to answer; the dump of a very large mesh takes a few seconds. */
const POD_TIMEOUT_MS = 30_000;

/** @throws AmbitError AMBIT_KUBE_CONFIG_INVALID, AMBIT_KUBE_CREDENTIALS_UNAVAILABLE */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { kubeconfig, context, requestTimeout: timeoutMs, meshNamespace } = options;
  const client = await KubeClient.connect({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
  });
  const tell = options.verbose ? tellRequest : undefined;
  return {
    meshNamespace,
    api: {
      request: (request) =>
        told(tell, request, () =>
          client.request({ ...(timeoutMs !== undefined && { timeoutMs }), ...request }),
        ),
    },
    apply: (object, request) =>
      told(tell, { method: 'APPLY', path: `${object.kind}/${object.metadata.name}` }, () =>
        client.apply(object, request),
      ),
    ask: (request) => askPod(client, request, timeoutMs ?? POD_TIMEOUT_MS),
    close: () => client.close(),
  };
}

async function askPod(client: KubeClient, request: PodRequest, timeoutMs: number): Promise<string> {
  const { pod, port, method, path } = request;
  const stream = await forwardPort(client, { namespace: pod.namespace, pod: pod.name, port });
  return requestThrough(stream, { method, path, origin: `${pod.name}:${port}`, timeoutMs });
}

type Tell = (request: Pick<ApiRequest, 'path'> & { readonly method: string }, ms: number) => void;

async function told<T>(
  tell: Tell | undefined,
  request: Parameters<Tell>[0],
  run: () => Promise<T>,
): Promise<T> {
  const begin = performance.now();
  try {
    return await run();
  } finally {
    tell?.(request, performance.now() - begin);
  }
}

function tellRequest({ method, path }: Parameters<Tell>[0], ms: number): void {
  process.stderr.write(`${method} ${path} ${ms.toFixed(0)} ms\n`);
}
