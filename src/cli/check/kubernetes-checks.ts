/** Checks of the cluster as such: can it be asked, may we, is it new enough. */

import type { Node } from '../cluster/kube-types.ts';
import { type Check, error, type Finding, warning } from './check.ts';

export interface Permission {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
}

export interface PermissionAnswer extends Permission {
  readonly allowed: boolean;
}

/** What the API server answered to the first question. */
export type ApiAnswer =
  | { readonly kind: 'answered'; readonly gitVersion: string }
  | { readonly kind: 'silent'; readonly reason: string };

export interface KubernetesFacts {
  readonly api: ApiAnswer;
  readonly permissions: readonly PermissionAnswer[];
  readonly nodes: readonly Node[];
}

/** The oldest release that is tested in no way but whose API has all that is used; newer than the newest is untested. */
const OLDEST_MINOR = 29;
const NEWEST_MINOR = 36;
/** Linux 5.4 is the oldest kernel that is still maintained by a distribution with one of those releases. */
const OLDEST_KERNEL = [5, 4] as const;
const ARCHITECTURES = ['amd64', 'arm64'];

const reachable: Check<KubernetesFacts> = {
  code: 'AMBIT_CHECK_API',
  claim: 'the API server answers',
  remedy: 'see that `kubectl version` works with the same kubeconfig and context',
  isFatal: true,
  find: ({ api }) => (api.kind === 'silent' ? [error(api.reason)] : []),
};

const permitted: Check<KubernetesFacts> = {
  code: 'AMBIT_CHECK_PERMISSIONS',
  claim: 'you may do what this command needs',
  remedy: 'use an account that may, or ask for the right (cluster-admin has them all)',
  isFatal: true,
  find: ({ permissions }) =>
    permissions.filter((one) => !one.allowed).map((one) => error(`you may not ${permissionText(one)}`)),
};

const version: Check<KubernetesFacts> = {
  code: 'AMBIT_CHECK_KUBERNETES_VERSION',
  claim: `Kubernetes is 1.${OLDEST_MINOR} or newer, on every node`,
  remedy: `upgrade Kubernetes to 1.${OLDEST_MINOR} or newer`,
  find: ({ api, nodes }) => [
    ...(api.kind === 'answered' ? versionFindings(api.gitVersion, 'the API server') : []),
    ...nodes.flatMap((node) => {
      const kubelet = node.status?.nodeInfo?.kubeletVersion;
      return kubelet === undefined ? [] : versionFindings(kubelet, 'kubelet', `node/${node.metadata.name}`);
    }),
  ],
};

const platform: Check<KubernetesFacts> = {
  code: 'AMBIT_CHECK_NODE_PLATFORM',
  claim: `every node runs Linux ${OLDEST_KERNEL.join('.')} or newer on ${ARCHITECTURES.join(' or ')}`,
  remedy: 'keep meshed pods off such nodes, or replace them',
  find: ({ nodes }) => nodes.flatMap(platformFindings),
};

const nodesReady: Check<KubernetesFacts> = {
  code: 'AMBIT_CHECK_NODES_READY',
  claim: 'every node is ready',
  remedy: 'see `kubectl describe node` for the reason',
  find: ({ nodes }) =>
    nodes.flatMap((node) => {
      const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready');
      if (ready?.status === 'True') return [];
      return [
        warning(`not ready: ${ready?.message ?? 'no condition'}`, { object: `node/${node.metadata.name}` }),
      ];
    }),
};

export const KUBERNETES_CHECKS: readonly Check<KubernetesFacts>[] = [
  reachable,
  permitted,
  version,
  platform,
  nodesReady,
];

/** Nodes that can carry the mesh at all. */
export function isLinux(node: Node): boolean {
  return (node.status?.nodeInfo?.operatingSystem ?? 'linux') === 'linux';
}

function permissionText({ verb, group, resource, subresource }: Permission): string {
  const plural = subresource === undefined ? resource : `${resource}/${subresource}`;
  return `${verb} ${group === '' ? plural : `${plural}.${group}`}`;
}

function versionFindings(gitVersion: string, who: string, object?: string): Finding[] {
  const minor = Number(/^v?1\.(\d+)/.exec(gitVersion)?.[1]);
  const where = object === undefined ? {} : { object };
  if (Number.isNaN(minor)) return [warning(`${who} says ${gitVersion}, which is no version`, where)];
  if (minor < OLDEST_MINOR) return [error(`${who} is ${gitVersion}`, where)];
  if (minor <= NEWEST_MINOR) return [];
  const remedy = `upgrade Ambit to a release that was tested with Kubernetes 1.${minor}`;
  return [
    warning(`${who} is ${gitVersion}, newer than what this release was tested with`, { ...where, remedy }),
  ];
}

function platformFindings(node: Node): Finding[] {
  const info = node.status?.nodeInfo;
  const object = `node/${node.metadata.name}`;
  if (info === undefined) return [];
  if (!isLinux(node))
    return [warning(`runs ${info.operatingSystem}: its pods cannot be in the mesh`, { object })];
  return [
    ...(ARCHITECTURES.includes(info.architecture) ? [] : [error(`is ${info.architecture}`, { object })]),
    ...(isKernelOld(info.kernelVersion) ? [error(`runs Linux ${info.kernelVersion}`, { object })] : []),
  ];
}

function isKernelOld(release: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  if (major === undefined) return false;
  const [oldestMajor, oldestMinor] = OLDEST_KERNEL;
  return Number(major) < oldestMajor || (Number(major) === oldestMajor && Number(minor) < oldestMinor);
}
