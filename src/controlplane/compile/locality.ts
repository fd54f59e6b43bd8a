/** Where a workload runs: from the labels of its node, or from the text that a WorkloadEntry gives. */

import type { Locality } from '../../mesh/workload.ts';
import type { CompileContext } from './object-lookup.ts';
import { LABELS } from './well-known-keys.ts';

export function localityOfNode(context: CompileContext, node: string): Locality {
  const labels = node === '' ? undefined : context.objects.get('Node', '', node)?.metadata.labels;
  return {
    region: labels?.[LABELS.region] ?? '',
    zone: labels?.[LABELS.zone] ?? '',
    subzone: labels?.[LABELS.subzone] ?? '',
  };
}

/** `region/zone/subzone`, of which the last ones may be missing. */
export function parseLocality(text: string | undefined): Locality {
  const [region = '', zone = '', subzone = ''] = (text ?? '').split('/');
  return { region, zone, subzone };
}
