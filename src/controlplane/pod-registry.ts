/** The pods as the certificate authority asks for them: by uid and by node, always up to date. */

import type { Pod } from '../objects/core-types.ts';
import type { ObjectChange, ObjectSource } from '../objects/object-source.ts';
import type { PodIndex, PodRecord } from './ca/node-authorization.ts';

export class PodRegistry implements PodIndex {
  readonly #byUid = new Map<string, PodRecord>();
  /** Node → uid → pod. */
  readonly #byNode = new Map<string, Map<string, PodRecord>>();

  /** Follows a started source; returns how to stop. */
  follow(source: ObjectSource): () => void {
    for (const pod of source.list('Pod')) this.#add(pod);
    return source.subscribe((changes) => {
      for (const change of changes) this.#apply(change);
    });
  }

  podByUid(uid: string): PodRecord | undefined {
    return this.#byUid.get(uid);
  }

  podsOnNode(node: string): Iterable<PodRecord> {
    return this.#byNode.get(node)?.values() ?? [];
  }

  #apply({ type, object, previous }: ObjectChange): void {
    if (object.kind !== 'Pod') return;
    if (previous?.kind === 'Pod') this.#remove(previous);
    if (type === 'delete') this.#remove(object);
    else this.#add(object);
  }

  #add(pod: Pod): void {
    const { uid, name, namespace } = pod.metadata;
    const phase = pod.status?.phase;
    const record: PodRecord = {
      uid,
      name,
      namespace,
      serviceAccount: pod.spec?.serviceAccountName || 'default',
      node: pod.spec?.nodeName ?? '',
      terminal: phase === 'Succeeded' || phase === 'Failed',
    };
    this.#byUid.set(uid, record);
    const onNode = this.#byNode.get(record.node) ?? new Map<string, PodRecord>();
    onNode.set(uid, record);
    this.#byNode.set(record.node, onNode);
  }

  #remove(pod: Pod): void {
    const record = this.#byUid.get(pod.metadata.uid);
    if (record === undefined) return;
    this.#byUid.delete(record.uid);
    const onNode = this.#byNode.get(record.node);
    onNode?.delete(record.uid);
    if (onNode?.size === 0) this.#byNode.delete(record.node);
  }
}
