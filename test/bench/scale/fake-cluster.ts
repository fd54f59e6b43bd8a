/** Services, their EndpointSlices and pods that no kubelet runs, written to an API server as controllers would write them. */

import { type KubeClient, MERGE_PATCH_TYPE } from '../../../src/kube/kube-client.ts';
import type { ScalePlan } from './scale-plan.ts';

const NAMESPACES = 20;
const PORT = 8080;
/** Requests at a time: what keeps an API server busy without queueing. */
const REQUESTS_AT_ONCE = 32;

interface FakePod {
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
}

interface FakeService {
  readonly name: string;
  readonly namespace: string;
  readonly pods: FakePod[];
}

/** A pod that was made ready; times are Unix time. */
export interface ReadyPod {
  /** As the mesh names it. */
  readonly uid: string;
  /** When the API server was about to be told, and when it had answered. */
  readonly writtenMs: number;
  readonly acknowledgedMs: number;
}

export class FakeCluster {
  readonly #client: KubeClient;
  readonly #plan: ScalePlan;
  readonly #services: FakeService[] = [];
  #lastPod = 0;
  #lastService = 0;
  requests = 0;

  constructor(client: KubeClient, plan: ScalePlan) {
    this.#client = client;
    this.#plan = plan;
  }

  /** Writes everything; `progress` hears how many services are there. */
  async fill(progress: (services: number) => void): Promise<void> {
    await inParallel(NAMESPACES, (i) =>
      this.#post('/api/v1/namespaces', { metadata: { name: namespaceName(i), labels: AMBIENT } }),
    );
    let done = 0;
    await inParallel(this.#plan.services, async (i) => {
      await this.#makeService(`service-${i}`, namespaceName(i % NAMESPACES));
      progress(++done);
    });
  }

  /** Replaces the pods of the next service by new ones: these become ready, are listed, and then the old ones go. */
  async restartNext(): Promise<readonly ReadyPod[]> {
    const service = this.#services[this.#lastService++ % this.#services.length]!;
    const old = service.pods.splice(0);
    const ready = await this.#makePods(service);
    await this.#request('PUT', slicePath(service), sliceOf(service));
    await Promise.all(old.map((pod) => this.#request('DELETE', podPath(pod), { gracePeriodSeconds: 0 })));
    return ready;
  }

  async #makeService(name: string, namespace: string): Promise<void> {
    const service: FakeService = { name, namespace, pods: [] };
    await this.#post(`/api/v1/namespaces/${namespace}/services`, {
      metadata: { name },
      spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: PORT }] },
    });
    await this.#makePods(service);
    await this.#post(slicesPath(namespace), sliceOf(service));
    this.#services.push(service);
  }

  async #makePods(service: FakeService): Promise<readonly ReadyPod[]> {
    return Promise.all(Array.from({ length: this.#plan.podsPerService }, () => this.#makePod(service)));
  }

  async #makePod(service: FakeService): Promise<ReadyPod> {
    const index = this.#lastPod++;
    const { namespace } = service;
    const pod: FakePod = { name: `${service.name}-${index}`, namespace, ip: podIp(index) };
    await this.#post(`/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name: pod.name, labels: { app: service.name }, annotations: ENROLLED },
      spec: {
        nodeName: `node-${index % this.#plan.nodes}`,
        containers: [{ name: 'main', image: 'none', ports: [{ containerPort: PORT }] }],
      },
    });
    const writtenMs = performance.timeOrigin + performance.now();
    await this.#request('PATCH', `${podPath(pod)}/status`, readyStatus(pod.ip));
    const acknowledgedMs = performance.timeOrigin + performance.now();
    service.pods.push(pod);
    return { uid: `Kubernetes//Pod/${namespace}/${pod.name}`, writtenMs, acknowledgedMs };
  }

  #post(path: string, body: object): Promise<unknown> {
    return this.#request('POST', path, body);
  }

  #request(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body: object): Promise<unknown> {
    this.requests++;
    const contentType = method === 'PATCH' ? MERGE_PATCH_TYPE : 'application/json';
    return this.#client.request({ method, path, body, contentType });
  }
}

const AMBIENT = { 'istio.io/dataplane-mode': 'ambient' };
const ENROLLED = { 'ambient.istio.io/redirection': 'enabled' };

function readyStatus(ip: string): object {
  return {
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

function sliceOf({ name, namespace, pods }: FakeService): object {
  return {
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: PORT }],
    endpoints: pods.map((pod) => ({
      addresses: [pod.ip],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', namespace, name: pod.name },
    })),
  };
}

function slicesPath(namespace: string): string {
  return `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
}

function slicePath({ name, namespace }: FakeService): string {
  return `${slicesPath(namespace)}/${name}`;
}

function podPath({ name, namespace }: FakePod): string {
  return `/api/v1/namespaces/${namespace}/pods/${name}`;
}

function namespaceName(index: number): string {
  return `team-${index}`;
}

/** Each its own, out of 10.0.0.0/9. */
function podIp(index: number): string {
  return `10.${(index >> 16) & 0x7f}.${(index >> 8) & 0xff}.${index & 0xff}`;
}

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, worker));
}
