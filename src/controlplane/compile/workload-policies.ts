/** Which policies a workload names, because their selectors select it. */

import { authorizationName } from '../../mesh/authorization.ts';
import { isSelectedByWorkloads } from './authorization.ts';
import type { CompileContext } from './object-lookup.ts';
import { peerAuthenticationPolicies } from './peer-authentication.ts';
import { labelKeys, selects } from './selectors.ts';
import type { Labels } from './well-known-keys.ts';

/** Policies of its own namespace, and those of the root namespace, which may select workloads anywhere; sorted. */
export function policiesOfWorkload(
  context: CompileContext,
  namespace: string,
  labels: Labels,
): readonly string[] {
  const names = new Set(peerAuthenticationPolicies(context, namespace, labels));
  for (const from of new Set([namespace, context.options.rootNamespace])) {
    for (const key of labelKeys(from, labels)) {
      for (const policy of context.objects.find('policyBySelector', key)) {
        const matches = selects(policy.spec?.selector?.matchLabels ?? {}, labels);
        if (matches && isSelectedByWorkloads(policy)) names.add(authorizationName(policy.metadata));
      }
    }
  }
  return [...names].sort();
}
