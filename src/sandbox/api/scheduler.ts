/** Chooses a node for every pod that has none: the one with the fewest of its kind, then the fewest at all. */

import { controllerOf, isActive, type Labels, type Stored, type StoredPod } from './kube-object.ts';
import { now, type ObjectStore } from './object-store.ts';

export class Scheduler {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  reconcile(): void {
    const nodes = this.#store.list('Node');
    for (const pod of this.#store.list('Pod')) {
      if (pod.metadata.deletionTimestamp !== undefined) continue;
      if (pod.spec?.nodeName === undefined) this.#schedule(pod, nodes);
      else if (!nodes.some((node) => node.metadata.name === pod.spec?.nodeName)) {
        this.#refuse(pod, `there is no node ${pod.spec.nodeName}; there are ${names(nodes)}`);
      }
    }
  }

  #schedule(pod: StoredPod, nodes: readonly Stored<'Node'>[]): void {
    const selector = pod.spec?.nodeSelector;
    const fitting = nodes.filter((node) => holdsAll(node.metadata.labels, selector));
    const nodeName = this.#leastLoaded(pod, fitting);
    if (nodeName === undefined) {
      this.#refuse(pod, `0/${nodes.length} nodes have the labels of spec.nodeSelector`);
    } else {
      this.#store.update(pod, (current) => ({ ...current, spec: { ...(current.spec as object), nodeName } }));
    }
  }

  #leastLoaded(pod: StoredPod, nodes: readonly Stored<'Node'>[]): string | undefined {
    const owner = controllerOf(pod)?.uid;
    const others = this.#store.list('Pod').filter(isActive);
    const loads = nodes.map(({ metadata: { name } }) => {
      const here = others.filter((other) => other.spec?.nodeName === name);
      const siblings =
        owner === undefined ? 0 : here.filter((other) => controllerOf(other)?.uid === owner).length;
      return { name, siblings, all: here.length };
    });
    return loads.sort((a, b) => a.siblings - b.siblings || a.all - b.all)[0]?.name;
  }

  #refuse(pod: StoredPod, message: string): void {
    const known = pod.status?.conditions?.find((one) => one.type === 'PodScheduled');
    if (known?.message === message) return;
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message };
    const conditions = [{ ...condition, lastTransitionTime: now() }];
    this.#store.update(pod, (current) => ({ ...current, status: { phase: 'Pending', conditions } }));
  }
}

function holdsAll(labels: Labels | undefined, wanted: Labels | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels?.[key] === value);
}

function names(nodes: readonly Stored<'Node'>[]): string {
  return nodes.map((node) => node.metadata.name).join(', ');
}
