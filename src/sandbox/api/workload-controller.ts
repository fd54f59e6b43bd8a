/** Makes pods out of Deployments, ReplicaSets and StatefulSets, and takes away those that nobody wants any more. */

import { createHash, randomInt } from 'node:crypto';
import { admitPod } from './admission.ts';
import { markDeleted } from './cluster-api.ts';
import {
  controllerOf,
  isActive,
  isReady,
  type KubeObject,
  type PodTemplate,
  type ReplicatedSpec,
  referenceTo,
  type Stored,
  type StoredPod,
} from './kube-object.ts';
import type { ObjectStore } from './object-store.ts';

/** Kubernetes' alphabet for generated names: no vowels, so no words. */
const SAFE_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';
const POD_SUFFIX = 5;
const HASH_LETTERS = 10;
const TEMPLATE_HASH = 'pod-template-hash';
const REVISION_HASH = 'controller-revision-hash';
const OWNER_KINDS = ['Deployment', 'ReplicaSet', 'StatefulSet'] as const;

type Replicated = KubeObject & { readonly spec: ReplicatedSpec };

/** Level-triggered: each pass compares what is with what should be, and needs no memory of its own. */
export class WorkloadController {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  reconcile(): void {
    this.#collectGarbage();
    for (const deployment of this.#store.list('Deployment')) this.#reconcileDeployment(deployment);
    for (const replicaSet of this.#store.list('ReplicaSet')) this.#reconcileReplicaSet(replicaSet);
    for (const statefulSet of this.#store.list('StatefulSet')) this.#reconcileStatefulSet(statefulSet);
  }

  #collectGarbage(): void {
    const owners = new Set(
      OWNER_KINDS.flatMap((kind) => this.#store.list(kind)).map((one) => one.metadata.uid),
    );
    const orphaned = (object: KubeObject) => {
      const owner = controllerOf(object);
      return OWNER_KINDS.some((kind) => kind === owner?.kind) && !owners.has(owner!.uid);
    };
    for (const replicaSet of this.#store.list('ReplicaSet').filter(orphaned)) {
      this.#store.remove(referenceTo(replicaSet));
    }
    for (const pod of this.#store.list('Pod').filter(orphaned)) this.#endPod(pod);
  }

  #reconcileDeployment(deployment: Stored<'Deployment'>): void {
    const hash = templateHash(deployment.spec.template);
    const owned = this.#store
      .list('ReplicaSet')
      .filter((one) => controllerOf(one)?.uid === deployment.metadata.uid);
    const current = owned.find((one) => one.metadata.labels?.[TEMPLATE_HASH] === hash);
    const replicas = deployment.spec.replicas ?? 1;
    if (current === undefined || current.spec.replicas !== replicas) {
      this.#store.put(replicaSetOf(deployment, hash));
    }
    const ready = this.#podsOf(current).filter(isReady).length;
    // The pods of the old template serve until those of the new one do.
    if (ready >= replicas) {
      for (const old of owned.filter((one) => one !== current)) this.#store.remove(referenceTo(old));
    }
    const pods = owned.flatMap((one) => this.#podsOf(one));
    this.#writeStatus(deployment, pods, this.#podsOf(current).length);
  }

  #reconcileReplicaSet(replicaSet: Stored<'ReplicaSet'>): void {
    const pods = this.#podsOf(replicaSet);
    const wanted = replicaSet.spec.replicas ?? 1;
    for (let missing = wanted - pods.length; missing > 0; missing--) {
      const name = `${replicaSet.metadata.name}-${randomLetters(POD_SUFFIX)}`;
      this.#createPod(replicaSet, { name, labels: {}, spec: replicaSet.spec.template.spec });
    }
    const unneeded = [...pods].sort(lessNeededFirst).slice(0, Math.max(0, pods.length - wanted));
    for (const pod of unneeded) this.#endPod(pod);
    this.#writeStatus(replicaSet, pods, pods.length);
  }

  #reconcileStatefulSet(set: Stored<'StatefulSet'>): void {
    const { template, replicas = 1, serviceName } = set.spec;
    const hash = templateHash(template);
    const pods = this.#podsOf(set);
    for (let ordinal = 0; ordinal < replicas; ordinal++) {
      const name = `${set.metadata.name}-${ordinal}`;
      if (this.#store.get('Pod', set.metadata.namespace, name) !== undefined) continue;
      const spec = { ...template.spec, hostname: name, ...(serviceName ? { subdomain: serviceName } : {}) };
      const labels = { 'apps.kubernetes.io/pod-index': String(ordinal), [REVISION_HASH]: hash };
      this.#createPod(set, { name, labels, spec });
    }
    for (const pod of pods.filter((one) => ordinalOf(one) >= replicas)) this.#endPod(pod);
    const outdated = pods.filter((pod) => pod.metadata.labels?.[REVISION_HASH] !== hash);
    // One at a time, and only while the others serve.
    if (pods.filter(isReady).length >= replicas && outdated.length > 0) this.#endPod(outdated.at(-1)!);
    this.#writeStatus(set, pods, pods.length - outdated.length);
  }

  #podsOf(owner: KubeObject | undefined): readonly StoredPod[] {
    if (owner === undefined) return [];
    return this.#store
      .list('Pod')
      .filter((pod) => controllerOf(pod)?.uid === owner.metadata.uid && isActive(pod));
  }

  #createPod(
    owner: Replicated,
    pod: { name: string; labels: Record<string, string>; spec: PodTemplate['spec'] },
  ): void {
    const { metadata = {} } = owner.spec.template;
    this.#store.put(
      admitPod({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: pod.name,
          namespace: owner.metadata.namespace,
          labels: { ...metadata.labels, ...pod.labels },
          ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
          ownerReferences: [ownerReference(owner)],
        },
        spec: pod.spec,
      }),
    );
  }

  #endPod(pod: StoredPod): void {
    if (pod.metadata.deletionTimestamp === undefined) markDeleted(this.#store, pod);
  }

  #writeStatus(owner: KubeObject, pods: readonly StoredPod[], updatedReplicas: number): void {
    const readyReplicas = pods.filter(isReady).length;
    const status = {
      observedGeneration: owner.metadata.generation,
      replicas: pods.length,
      updatedReplicas,
      readyReplicas,
      availableReplicas: readyReplicas,
    };
    this.#store.update(owner, (current) => ({ ...current, status }));
  }
}

function replicaSetOf(deployment: Stored<'Deployment'>, hash: string) {
  const { spec, metadata } = deployment;
  const labels = { ...spec.template.metadata?.labels, [TEMPLATE_HASH]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      labels,
      ownerReferences: [ownerReference(deployment)],
    },
    spec: {
      replicas: spec.replicas ?? 1,
      selector: { matchLabels: { ...spec.selector.matchLabels, [TEMPLATE_HASH]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  };
}

function ownerReference({ apiVersion, kind, metadata }: KubeObject) {
  const { name, uid } = metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** The same template has the same hash in every sandbox. */
function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256').update(JSON.stringify(template)).digest();
  return [...digest.subarray(0, HASH_LETTERS)]
    .map((byte) => SAFE_LETTERS[byte % SAFE_LETTERS.length])
    .join('');
}

function randomLetters(length: number): string {
  return Array.from({ length }, () => SAFE_LETTERS[randomInt(SAFE_LETTERS.length)]).join('');
}

function ordinalOf(pod: StoredPod): number {
  return Number(pod.metadata.name.slice(pod.metadata.name.lastIndexOf('-') + 1));
}

/** Those that do not serve go first, then the youngest. */
function lessNeededFirst(a: StoredPod, b: StoredPod): number {
  return (
    Number(isReady(a)) - Number(isReady(b)) ||
    Number(b.metadata.resourceVersion) - Number(a.metadata.resourceVersion)
  );
}
