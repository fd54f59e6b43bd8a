/** On which network something is. */

import type { CompileContext } from './object-lookup.ts';
import { LABELS, type Labels } from './well-known-keys.ts';

/** What the label of a workload says, else the label of the root namespace, else the option. */
export function networkOf(context: CompileContext, labels?: Labels): string {
  const own = labels?.[LABELS.network];
  if (own !== undefined) return own;
  const root = context.objects.get('Namespace', '', context.options.rootNamespace);
  return root?.metadata.labels?.[LABELS.network] ?? context.options.network;
}
