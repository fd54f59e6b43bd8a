/** The API server of a sandbox: apply, delete and label objects. */

import { sandboxErrors } from '../errors.ts';
import { type AdmissionContext, admit } from './admission.ts';
import { appliedAgain, changesPodSpec, firstApplied, isUnchanged } from './applied-configuration.ts';
import { findKind, type KindInfo, kindInfo } from './kind-registry.ts';
import {
  displayName,
  groupOf,
  type KubeObject,
  type Reference,
  referenceTo,
  type StoredPod,
} from './kube-object.ts';
import type { Manifest } from './manifest-file.ts';
import { now, type ObjectDraft, type ObjectStore } from './object-store.ts';

export interface AppliedObject {
  readonly reference: Reference;
  readonly result: 'created' | 'configured' | 'unchanged';
}

interface Resolved {
  readonly source: string;
  readonly draft: ObjectDraft;
  readonly reference: Reference;
}

/** A label and its value; null takes it away. */
export type LabelChanges = Readonly<Record<string, string | null>>;

export class ClusterApi {
  readonly #store: ObjectStore;
  readonly #context: AdmissionContext;

  constructor(store: ObjectStore, context: AdmissionContext) {
    this.#store = store;
    this.#context = context;
  }

  /**
   * Stores all manifests, or none when one of them is refused.
   * @param namespace of those that name none
   * @throws AMBIT_SANDBOX_MANIFEST_INVALID, AMBIT_SANDBOX_IMMUTABLE, AMBIT_SANDBOX_FULL
   */
  apply(manifests: readonly Manifest[], namespace: string): readonly AppliedObject[] {
    const resolved = manifests.map((manifest) => resolve(manifest, namespace));
    this.#refuseWrong(resolved);
    this.#restartAddresses();
    // A namespace may come after what is in it: files are often read in the order of their names.
    const first = resolved.filter((one) => one.reference.kind === 'Namespace');
    const rest = resolved.filter((one) => one.reference.kind !== 'Namespace');
    const admitted = [...first, ...rest].map((one) => this.#admitOne(one));
    for (const { draft, result } of admitted) if (result !== 'unchanged') this.#store.put(draft);
    return admitted;
  }

  /** Stores an object of the sandbox's own making as it is. */
  create(draft: ObjectDraft): KubeObject {
    this.#restartAddresses();
    return this.#store.put(admit(draft, undefined, this.#context));
  }

  /** @throws AMBIT_SANDBOX_NOT_FOUND */
  label(reference: Reference, changes: LabelChanges): KubeObject {
    const object = this.require(reference);
    const labels = Object.entries({ ...object.metadata.labels, ...changes }).filter(
      ([, value]) => value !== null,
    );
    const metadata = { ...object.metadata, labels: Object.fromEntries(labels) as Record<string, string> };
    return this.#store.put({ ...object, metadata });
  }

  /**
   * Deletes an object and what belongs to it; pods go when they have ended.
   * @param graceSeconds instead of the pods' own grace period
   * @throws AMBIT_SANDBOX_NOT_FOUND
   */
  delete(reference: Reference, graceSeconds?: number): void {
    const object = this.require(reference);
    if (reference.kind === 'Namespace' && reference.group === '') this.#deleteNamespace(object, graceSeconds);
    else this.#deleteOne(object, graceSeconds);
  }

  /** @throws AMBIT_SANDBOX_NOT_FOUND */
  require(reference: Reference): KubeObject {
    const object = this.#store.getAny(reference);
    if (object !== undefined) return object;
    const where = reference.namespace === '' ? '' : ` in namespace ${reference.namespace}`;
    throw sandboxErrors.AMBIT_SANDBOX_NOT_FOUND(`${displayName(reference)} not found${where}`);
  }

  /** What `get` and `label` name. @throws AMBIT_SANDBOX_NOT_FOUND */
  requireKind(text: string): KindInfo {
    const stored = this.#store
      .everything()
      .map(({ kind, apiVersion }) => kindInfo(kind, groupOf(apiVersion)));
    const found = findKind(text, stored);
    if (found !== undefined) return found;
    throw sandboxErrors.AMBIT_SANDBOX_NOT_FOUND(`there is no kind called ${text}`);
  }

  #refuseWrong(resolved: readonly Resolved[]): void {
    const keys = new Map<string, string>();
    const namespaces = new Set(this.#store.list('Namespace').map((one) => one.metadata.name));
    for (const { reference } of resolved) if (reference.kind === 'Namespace') namespaces.add(reference.name);
    for (const { reference, source, draft } of resolved) {
      const key = `${reference.namespace} ${displayName(reference)}`;
      const other = keys.get(key);
      keys.set(key, source);
      if (other !== undefined) throw invalid(source, `${displayName(reference)} is also in ${other}`);
      if (reference.namespace !== '' && !namespaces.has(reference.namespace)) {
        throw invalid(source, `there is no namespace ${reference.namespace}`);
      }
      const current = this.#store.getAny(reference);
      if (current !== undefined) refuseChange(current, draft, source);
    }
  }

  #admitOne({ draft, reference }: Resolved): AppliedObject & { readonly draft: ObjectDraft } {
    const current = this.#store.getAny(reference);
    if (current !== undefined && isUnchanged(current, draft))
      return { reference, draft, result: 'unchanged' };
    if (current === undefined) {
      return { reference, draft: admit(firstApplied(draft), undefined, this.#context), result: 'created' };
    }
    const next = appliedAgain(current, draft);
    const kept = reference.kind === 'Pod' && reference.group === '' ? { ...next, spec: current.spec } : next;
    return { reference, draft: admit(kept, current, this.#context), result: 'configured' };
  }

  #restartAddresses(): void {
    const services = this.#store.list('Service');
    this.#context.serviceAddresses.restart(services.flatMap((service) => service.spec?.clusterIPs ?? []));
  }

  #deleteNamespace(namespace: KubeObject, graceSeconds: number | undefined): void {
    const { name } = namespace.metadata;
    for (const object of this.#store.everything()) {
      if (object.metadata.namespace === name) this.#deleteOne(object, graceSeconds);
    }
    this.#deleteOne(namespace, graceSeconds);
  }

  #deleteOne(object: KubeObject, graceSeconds: number | undefined): void {
    if (object.kind === 'Pod' && object.apiVersion === 'v1') {
      markDeleted(this.#store, object as StoredPod, graceSeconds);
      return;
    }
    this.#store.remove(referenceTo(object));
  }
}

/** Asks the kubelet to end a pod; it removes the object afterwards. A second call can only shorten the time. */
export function markDeleted(store: ObjectStore, pod: StoredPod, graceSeconds?: number): void {
  const deletionGracePeriodSeconds = graceSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30;
  store.update(pod, (current) => {
    const { deletionTimestamp = now() } = current.metadata;
    const metadata = { ...current.metadata, deletionTimestamp, deletionGracePeriodSeconds };
    return { ...current, metadata };
  });
}

function resolve(manifest: Manifest, defaultNamespace: string): Resolved {
  const value = manifest.value as ObjectDraft;
  const group = groupOf(value.apiVersion);
  const { namespaced } = kindInfo(value.kind, group);
  const namespace = namespaced ? (value.metadata.namespace ?? defaultNamespace) : '';
  const draft = { ...value, metadata: { ...value.metadata, namespace } };
  return {
    source: manifest.source,
    draft,
    reference: { kind: value.kind, group, namespace, name: value.metadata.name },
  };
}

function refuseChange(current: KubeObject, draft: ObjectDraft, source: string): void {
  if (current.metadata.deletionTimestamp !== undefined) {
    throw immutable(source, `${displayName(referenceTo(current))} is being deleted: try again in a moment`);
  }
  if (current.kind === 'Pod' && current.apiVersion === 'v1' && changesPodSpec(current, draft)) {
    throw immutable(
      source,
      `the spec of ${displayName(referenceTo(current))} cannot be changed while it is there`,
    );
  }
}

function invalid(source: string, message: string) {
  return sandboxErrors.AMBIT_SANDBOX_MANIFEST_INVALID(`${source}: ${message}`);
}

function immutable(source: string, message: string) {
  return sandboxErrors.AMBIT_SANDBOX_IMMUTABLE(`${source}: ${message}`);
}
