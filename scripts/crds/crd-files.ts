/** The files of daemonset/crds/: one for each kind that the mesh reads and Kubernetes does not have. */

import { stringify } from 'yaml';
import { type CustomResource, definitionOf } from './custom-resource.ts';
import { SERVICE_ENTRY, WORKLOAD_ENTRY } from './networking-resources.ts';
import { AUTHORIZATION_POLICY, PEER_AUTHENTICATION } from './security-resources.ts';

const RESOURCES: readonly CustomResource[] = [
  AUTHORIZATION_POLICY,
  PEER_AUTHENTICATION,
  SERVICE_ENTRY,
  WORKLOAD_ENTRY,
];

const HEAD = '# Written by `make crds` out of scripts/crds/.\n';

/** File name → content. */
export function crdFiles(): ReadonlyMap<string, string> {
  const files = RESOURCES.map((resource): readonly [string, string] => [
    `${resource.plural}.${resource.group}.yaml`,
    HEAD + stringify(definitionOf(resource), { aliasDuplicateObjects: false, lineWidth: 110 }),
  ]);
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: files.map(([name]) => name),
  };
  return new Map([...files, ['kustomization.yaml', HEAD + stringify(kustomization)]]);
}
