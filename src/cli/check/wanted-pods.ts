/** Which pods the labels of a cluster put into the mesh, judged as the agents judge it. */

import { DEFAULT_ENABLEMENT_SELECTORS } from '../../cni/enablement-selector.ts';
import { decideEnrolment } from '../../cni/enrolment-decision.ts';
import { podFacts } from '../../cni/pod-facts.ts';
import type { Namespace, Pod } from '../cluster/kube-types.ts';

/** What the agents leave alone unless they are told otherwise. */
const SETTINGS = { selectors: DEFAULT_ENABLEMENT_SELECTORS, excludedNamespaces: ['kube-system'] };

/** By the default selectors: where an agent answers, its own verdict is better. */
export function wantedBy(namespaces: readonly Namespace[]): (pod: Pod) => boolean {
  const labels = new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  return (pod) => decideEnrolment(podFacts(pod), labels.get(pod.metadata.namespace) ?? {}, SETTINGS).enrol;
}
