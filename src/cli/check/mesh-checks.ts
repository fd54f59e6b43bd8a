/** Checks of the mesh's own parts: there, ready, of one version, in touch with each other. */

import type { ReportedPart } from '../cluster/agent-report.ts';
import type { Pod } from '../cluster/kube-types.ts';
import { AGENT, CONTROL_PLANE, type Component, PROXY } from '../cluster/mesh-names.ts';
import { podsOfComponent } from '../cluster/node-answers.ts';
import { isReady, podTrouble } from '../cluster/pod-trouble.ts';
import { CA_CHECKS } from './ca-checks.ts';
import { type Check, error, type Finding, warning } from './check.ts';
import { isLinux } from './kubernetes-checks.ts';
import type { MeshFacts } from './mesh-facts.ts';
import { VERSION_CHECKS } from './version-checks.ts';

/** Without these nobody can write the policies of the mesh. */
const NEEDED_CRDS = [
  'authorizationpolicies.security.istio.io',
  'peerauthentications.security.istio.io',
  'serviceentries.networking.istio.io',
  'workloadentries.networking.istio.io',
];

const installed: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_INSTALLED',
  claim: 'the control plane, the agents and the proxies are installed',
  remedy: 'run `ambit install`, or name the namespace of the mesh with --mesh-namespace',
  isFatal: true,
  find: ({ controlPlane, agentSet, proxySet, meshNamespace }) => {
    const missing = [
      ...(controlPlane === undefined ? [`deployment/${meshNamespace}/${CONTROL_PLANE}`] : []),
      ...(agentSet === undefined ? [`daemonset/${meshNamespace}/${AGENT}`] : []),
      ...(proxySet === undefined ? [`daemonset/${meshNamespace}/${PROXY}`] : []),
    ];
    return missing.map((object) => error('is not there', { object }));
  },
};

const crds: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_CRDS',
  claim: 'the resource definitions of policies and entries are installed',
  remedy: 'run `ambit install` again: it installs those that are missing',
  find: (facts) =>
    NEEDED_CRDS.filter((name) => !facts.crds.includes(name)).map((name) =>
      error('is not there', { object: `customresourcedefinition/${name}` }),
    ),
};

const controlPlaneReady: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_CONTROL_PLANE',
  claim: 'every replica of the control plane is ready',
  remedy: `see \`kubectl logs -n ambit-system deploy/${CONTROL_PLANE}\``,
  find: (facts) => {
    const wanted = facts.controlPlane?.spec.replicas ?? 1;
    const pods = podsOfComponent(facts.pods, 'controlplane').filter((pod) => !isReady(pod));
    const ready = facts.controlPlane?.status?.readyReplicas ?? 0;
    if (ready >= wanted) return [];
    const severity = ready === 0 ? 'error' : 'warning';
    const count: Finding = { severity, cause: `${ready} of ${wanted} replicas are ready` };
    return [count, ...pods.map((pod) => troubleOf(pod, facts))];
  },
};

const synced: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_CONTROL_PLANE_SYNCED',
  claim: 'the control plane has read the cluster, and one replica leads',
  remedy: `see \`kubectl logs -n ambit-system deploy/${CONTROL_PLANE}\`: it says what it waits for`,
  find: (facts) => [
    ...[...facts.controlPlanes].flatMap(([name, answer]) =>
      answer.kind === 'answered'
        ? []
        : [error(answer.reason, { object: `pod/${facts.meshNamespace}/${name}` })],
    ),
    ...leaseFindings(facts),
  ],
};

const agentsReady: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_AGENTS',
  claim: 'an agent is ready on every node',
  remedy: `see \`kubectl logs -n ambit-system ds/${AGENT}\`; until it is ready no meshed pod starts on that node`,
  find: (facts) => nodeFindings(facts, 'cni', facts.agents),
};

const proxiesReady: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_PROXIES',
  claim: 'a proxy is ready on every node',
  remedy: `see \`kubectl logs -n ambit-system ds/${PROXY}\`; until it is ready no call of a meshed pod of that node gets through`,
  find: (facts) => nodeFindings(facts, 'ztunnel', facts.proxies),
};

const proxyAttached: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_PROXY_ATTACHED',
  claim: 'the proxy of every node is connected to the agent of its node',
  remedy: `see that both mount /var/run/ztunnel of the node, and the log of \`ds/${PROXY}\``,
  find: (facts) =>
    reports(facts).flatMap(([node, report]) =>
      report.ztunnelConnections > 0 ? [] : [error('no proxy is connected', { object: `node/${node}` })],
    ),
};

const proxySynced: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_PROXY_SYNCED',
  claim: 'the proxy of every node is connected to the control plane and has what it sent',
  remedy: `see the log of \`ds/${PROXY}\`; it goes on with what it has, but learns of no change`,
  find: ({ proxies }) =>
    [...proxies].flatMap(([node, answer]): Finding[] => {
      const xds = answer.kind === 'answered' ? answer.value.xds : undefined;
      if (xds === undefined || (xds.connected && xds.ready)) return [];
      const state = xds.connected ? 'has not yet got everything' : 'is not connected';
      return [error(xds.lastError ? `${state}: ${xds.lastError}` : state, { object: `node/${node}` })];
    }),
};

const plugin: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_CNI_PLUGIN',
  claim: 'the CNI configuration of every node calls the plugin of the mesh',
  remedy:
    'see what else writes the CNI configuration of the node; the agent mends it unless that keeps removing it',
  find: (facts) =>
    reports(facts).flatMap(([node, { plugin: part }]) => [
      ...partFindings(node, part, 'the plugin is not installed'),
      ...repairFindings(node, part, facts.now),
    ]),
};

const kernel: Check<MeshFacts> = {
  code: 'AMBIT_CHECK_KERNEL',
  claim: 'the kernel of every node can redirect the traffic of pods',
  remedy:
    'load the modules (ip_tables, iptable_nat, iptable_mangle, iptable_raw, ip_set, xt_set, xt_mark, xt_connmark, xt_CT) on the node',
  find: (facts) =>
    reports(facts).flatMap(([node, report]) =>
      partFindings(node, report.kernel, 'redirection does not work'),
    ),
};

export const MESH_CHECKS: readonly Check<MeshFacts>[] = [
  installed,
  crds,
  ...VERSION_CHECKS,
  controlPlaneReady,
  synced,
  ...CA_CHECKS,
  agentsReady,
  kernel,
  plugin,
  proxiesReady,
  proxyAttached,
  proxySynced,
];

/** Agents that answered, with their nodes. */
function reports({ agents }: MeshFacts) {
  return [...agents].flatMap(([node, answer]) =>
    answer.kind === 'answered' ? [[node, answer.value] as const] : [],
  );
}

function troubleOf(pod: Pod, { events }: MeshFacts): Finding {
  const { namespace, name } = pod.metadata;
  return error(podTrouble(pod, events), { object: `pod/${namespace}/${name}` });
}

/** One finding for each node without a ready pod of the component, or whose pod does not answer. */
function nodeFindings(
  facts: MeshFacts,
  component: Component,
  answers: ReadonlyMap<string, { readonly kind: string; readonly reason?: string }>,
): Finding[] {
  return facts.nodes.filter(isLinux).flatMap((node): Finding[] => {
    const { name } = node.metadata;
    const pods = podsOfComponent(facts.pods, component).filter((pod) => pod.spec?.nodeName === name);
    const object = `node/${name}`;
    if (pods.length === 0) return [error('has none', { object })];
    if (!pods.some(isReady)) return [error(podTrouble(pods[0]!, facts.events), { object })];
    const answer = answers.get(name);
    return answer?.reason === undefined ? [] : [error(`does not answer: ${answer.reason}`, { object })];
  });
}

/** What was mended longer ago is history. */
const RECENT_MS = 3_600_000;

function repairFindings(node: string, part: ReportedPart | undefined, now: number): Finding[] {
  const { repairedAt } = part ?? {};
  if (repairedAt === undefined || now - Date.parse(repairedAt) > RECENT_MS) return [];
  return [warning(`was changed by somebody else, and mended at ${repairedAt}`, { object: `node/${node}` })];
}

function partFindings(node: string, part: ReportedPart | undefined, otherwise: string): Finding[] {
  return part === undefined || part.ok ? [] : [error(part.detail ?? otherwise, { object: `node/${node}` })];
}

/** A lease that nobody renews means that nothing is written: no status, no root certificate in new namespaces. */
function leaseFindings({ lease, now, meshNamespace }: MeshFacts): Finding[] {
  const object = `lease/${meshNamespace}/${CONTROL_PLANE}`;
  const spec = lease?.spec;
  if (!spec?.holderIdentity) return [warning('nobody holds it', { object })];
  const age = now - Date.parse(spec.renewTime ?? '');
  const limit = 2 * (spec.leaseDurationSeconds ?? 15) * 1000;
  if (age <= limit) return [];
  return [warning(`${spec.holderIdentity} has not renewed it for ${Math.round(age / 1000)} s`, { object })];
}
