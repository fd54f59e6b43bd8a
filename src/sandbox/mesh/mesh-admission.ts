/** The CNI plugin's part: no container of an enrolled pod starts before the agent of its node has taken the pod. */

import { request } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import { familyOf, type IpAddress } from '../../base/ip.ts';
import { DEFAULT_ENABLEMENT_SELECTORS } from '../../cni/enablement-selector.ts';
import { decideEnrolment } from '../../cni/enrolment-decision.ts';
import { podFacts } from '../../cni/pod-facts.ts';
import type { StoredPod } from '../api/kube-object.ts';
import type { ObjectStore } from '../api/object-store.ts';
import { sandboxErrors } from '../errors.ts';
import type { PodAdmission } from '../kubelet/pod-runner.ts';

/** Namespaces that the agent leaves alone, as by default in a cluster. */
export const EXCLUDED_NAMESPACES: readonly string[] = ['kube-system'];

/** The agent itself waits for its proxy this long before it gives up. */
const ANSWER_TIMEOUT_MS = 15_000;
/** What is read of a refusal, in characters. */
const MAX_REASON = 2000;

export class MeshAdmission implements PodAdmission {
  readonly #store: ObjectStore;
  readonly #socketOf: (node: string) => string;

  /** @param socketOf where the agent of a node takes calls of its CNI plugin */
  constructor(store: ObjectStore, socketOf: (node: string) => string) {
    this.#store = store;
    this.#socketOf = socketOf;
  }

  /** @throws AMBIT_SANDBOX_ENROLMENT_REFUSED */
  async admit(pod: StoredPod, netnsFile: string, ips: readonly IpAddress[]): Promise<void> {
    const namespace = this.#store.get('Namespace', '', pod.metadata.namespace);
    const settings = { selectors: DEFAULT_ENABLEMENT_SELECTORS, excludedNamespaces: EXCLUDED_NAMESPACES };
    if (!decideEnrolment(podFacts(pod), namespace?.metadata.labels ?? {}, settings).enrol) return;
    const node = pod.spec?.nodeName ?? '';
    const event = {
      Netns: netnsFile,
      PodName: pod.metadata.name,
      PodNamespace: pod.metadata.namespace,
      IPs: ips.map(interfaceAddress),
    };
    const refusal = await post(this.#socketOf(node), JSON.stringify(event)).catch(messageOf);
    if (refusal === undefined) return;
    throw sandboxErrors.AMBIT_SANDBOX_ENROLMENT_REFUSED(
      `the mesh agent of ${node} has not taken the pod: ${refusal}`,
    );
  }
}

/** Go's net.IPNet as JSON: the mask is its bytes in base64. */
function interfaceAddress(ip: IpAddress) {
  const mask = Buffer.alloc(familyOf(ip) === 4 ? 4 : 16, 0xff).toString('base64');
  return { Interface: null, Address: { IP: ip, Mask: mask }, Gateway: null };
}

/** Undefined when the agent has taken the pod, else its reason. */
function post(socketPath: string, body: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath,
        path: '/cmdadd',
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          if (text.length < MAX_REASON) text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          resolve(
            response.statusCode === 200 ? undefined : refusalIn(text) || `status ${response.statusCode}`,
          );
        });
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** The agent answers with JSON, another one perhaps with plain text. */
function refusalIn(text: string): string {
  try {
    return (JSON.parse(text) as { readonly error: string }).error;
  } catch {
    return text.trim();
  }
}
