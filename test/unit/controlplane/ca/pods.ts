/** A cluster's pods for tests of who may have which identity. */

import type { PodIndex, PodRecord } from '../../../../src/controlplane/ca/node-authorization.ts';

export class TestPods implements PodIndex {
  readonly pods = new Map<string, PodRecord>();

  add(node: string, account: string, changes: Partial<PodRecord> = {}): PodRecord {
    const [namespace, serviceAccount] = account.split('/') as [string, string];
    const name = `${serviceAccount}-${this.pods.size}`;
    const pod = { uid: `uid-${name}`, name, namespace, serviceAccount, node, terminal: false, ...changes };
    this.pods.set(pod.uid, pod);
    return pod;
  }

  podByUid(uid: string): PodRecord | undefined {
    return this.pods.get(uid);
  }

  podsOnNode(node: string): Iterable<PodRecord> {
    return [...this.pods.values()].filter((pod) => pod.node === node);
  }
}

/** The caller that a token bound to this pod makes. */
export function callerFrom(pod: PodRecord) {
  return {
    namespace: pod.namespace,
    serviceAccount: pod.serviceAccount,
    podName: pod.name as string | undefined,
    podUid: pod.uid as string | undefined,
  };
}
