/** Checks that the parts of the mesh, and this command, are of versions that go together. */

import type { DaemonSet, Deployment } from '../cluster/kube-types.ts';
import { AGENT, CONTROL_PLANE, PROXY } from '../cluster/mesh-names.ts';
import {
  areCompatible,
  compareVersions,
  parseVersion,
  versionOfPod,
  versionOfSet,
} from '../cluster/part-version.ts';
import { type Check, error, type Finding, warning } from './check.ts';
import type { MeshFacts } from './mesh-facts.ts';

const partsAgree: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_VERSIONS',
  claim: 'the parts of the mesh are of one version',
  remedy: 'finish the upgrade: run `ambit upgrade` again',
  find: (facts) => {
    const declared = setsOf(facts).map(([name, set]) => [name, versionOfSet(set)] as const);
    const lead = declared[0]?.[1];
    const others = declared.filter(([, version]) => version !== lead);
    return [...others.map(([name, version]) => disagreement(name, version, lead)), ...strayPods(facts)];
  },
};

const clientAgrees: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_CLIENT_VERSION',
  claim: 'this command and the mesh are of versions that go together',
  remedy: 'use the `ambit` of the release that is installed',
  find: ({ controlPlane, cliVersion }) => {
    const server = controlPlane && versionOfSet(controlPlane);
    if (server === undefined || server === cliVersion) return [];
    const cause = `this is ${cliVersion}, the control plane ${server}`;
    return isCompatible(server, cliVersion) ? [warning(cause)] : [error(cause)];
  },
};

export const VERSION_CHECKS: readonly Check<MeshFacts>[] = [partsAgree, clientAgrees];

/** The control plane comes first: it is upgraded first, so that the others may lag behind it. */
function setsOf({ controlPlane, agentSet, proxySet }: MeshFacts): [string, Deployment | DaemonSet][] {
  const sets: readonly [string, Deployment | DaemonSet | undefined][] = [
    [CONTROL_PLANE, controlPlane],
    [AGENT, agentSet],
    [PROXY, proxySet],
  ];
  return sets.flatMap(([name, set]) => (set === undefined ? [] : [[name, set]]));
}

function disagreement(name: string, version: string | undefined, lead: string | undefined): Finding {
  const cause = `is ${version ?? 'of unknown version'}, the control plane ${lead ?? 'of unknown version'}`;
  const [a, b] = [parseVersion(version ?? ''), parseVersion(lead ?? '')];
  const isFine = a !== undefined && b !== undefined && areCompatible(a, b) && compareVersions(a, b) <= 0;
  return isFine ? warning(cause, { object: name }) : error(cause, { object: name });
}

/** Pods that still run what their set said before. */
function strayPods({ pods, controlPlane, meshNamespace }: MeshFacts): Finding[] {
  const lead = controlPlane && versionOfSet(controlPlane);
  return pods.flatMap((pod) => {
    const version = versionOfPod(pod);
    if (version === undefined || version === lead) return [];
    return [warning(`still runs ${version}`, { object: `pod/${meshNamespace}/${pod.metadata.name}` })];
  });
}

function isCompatible(a: string, b: string): boolean {
  const [one, other] = [parseVersion(a), parseVersion(b)];
  return one !== undefined && other !== undefined && areCompatible(one, other);
}
