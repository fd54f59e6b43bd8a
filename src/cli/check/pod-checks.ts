/** Checks of the pods of the mesh: each that should be in it really is, with a certificate, and known to its peers. */

import type { AgentReport, ReportedPod } from '../cluster/agent-report.ts';
import type { Pod } from '../cluster/kube-types.ts';
import { REDIRECTION_ANNOTATION } from '../cluster/mesh-names.ts';
import type { Answer } from '../cluster/node-answers.ts';
import type { ConfigDump, DumpedIdentity } from '../config-dump.ts';
import { type Check, error, type Finding, warning } from './check.ts';
import { podName } from './surroundings-checks.ts';

export interface PodFacts {
  readonly now: number;
  readonly pods: readonly Pod[];
  /** By node. */
  readonly agents: ReadonlyMap<string, Answer<AgentReport>>;
  readonly proxies: ReadonlyMap<string, Answer<ConfigDump>>;
  /** Whether the labels of a pod and its namespace put it into the mesh. */
  readonly isWanted: (pod: Pod) => boolean;
}

const enrolled: Check<PodFacts> = {
  code: 'AMBIT_CHECK_ENROLLED',
  claim: 'the agent has enrolled every pod whose labels put it into the mesh',
  remedy: 'see the log of the agent of that node; deleting the pod has it enrolled anew',
  find: (facts) =>
    wantedPods(facts).flatMap((pod) => {
      const report = reportedPod(facts, pod);
      if (report?.state === 'enrolled' || facts.agents.get(nodeOf(pod))?.kind !== 'answered') return [];
      return [
        error(report === undefined ? 'is not known to the agent' : stateText(report), {
          object: podName(pod),
        }),
      ];
    }),
};

const annotated: Check<PodFacts> = {
  code: 'AMBIT_CHECK_ANNOTATED',
  claim: `the annotation of every pod says what is the case`,
  remedy:
    'see the log of the agent of that node: peers send HBONE to pods that are annotated, and to no other',
  find: (facts) =>
    facts.pods.filter(isAlive).flatMap((pod): Finding[] => {
      const value = pod.metadata.annotations?.[REDIRECTION_ANNOTATION];
      const report = reportedPod(facts, pod);
      const isIn = report === undefined ? facts.isWanted(pod) : report.state === 'enrolled';
      if (isIn === (value === 'enabled')) return [];
      const cause = isIn
        ? `is in the mesh, but its annotation is ${value ?? 'missing'}`
        : 'is not in the mesh, but its annotation says so';
      return [error(cause, { object: podName(pod) })];
    }),
};

const carried: Check<PodFacts> = {
  code: 'AMBIT_CHECK_CAPTURED',
  claim: 'the proxy of its node carries every enrolled pod',
  remedy: 'see the log of the proxy of that node; until it carries the pod, no call of it gets through',
  find: (facts) =>
    enrolledPods(facts).flatMap((pod) => {
      const dump = answered(facts.proxies.get(nodeOf(pod)));
      if (dump === undefined) return [];
      const state = dump.workloadState[pod.metadata.uid]?.state;
      if (state === 'Up') return [];
      const cause = state === undefined ? 'its proxy does not know it' : `its proxy says ${state}`;
      return [error(cause, { object: podName(pod) })];
    }),
};

/** Kinds of findings of the agent that are not mended: somebody goes past the proxy. */
const BYPASSED = 'capture-bypassed';
/** What was found and mended longer ago is history. */
const RECENT_MS = 3_600_000;

const rules: Check<PodFacts> = {
  code: 'AMBIT_CHECK_RULES',
  claim: 'redirection was found as it should be in every pod, for an hour',
  remedy: 'see who changes iptables in the pod or on the node; the agent has mended what it could',
  find: (facts) =>
    [...reportedPods(facts)].flatMap(({ namespace, name, findings = [] }) =>
      findings
        .filter(({ kind, at }) => kind === BYPASSED || facts.now - Date.parse(at ?? '') < RECENT_MS)
        .map(({ kind, at = '', detail = '' }): Finding => {
          const cause = `${kind ?? 'finding'} at ${at}: ${detail}`;
          const object = `pod/${namespace}/${name}`;
          return kind === BYPASSED ? error(cause, { object }) : warning(cause, { object });
        }),
    ),
};

const annotationsUnderstood: Check<PodFacts> = {
  code: 'AMBIT_CHECK_POD_OPTIONS',
  claim: 'the agent understands the annotations of every pod',
  remedy: 'correct the annotation: what is not understood is not applied',
  find: (facts) =>
    [...reportedPods(facts)].flatMap(({ namespace, name, warnings = [] }) =>
      warnings.map((text) => warning(text, { object: `pod/${namespace}/${name}` })),
    ),
};

const certificates: Check<PodFacts> = {
  code: 'AMBIT_CHECK_CERTIFICATES',
  claim: 'every identity has a certificate that is fresh',
  remedy: 'see the log of the proxy and of the control plane: the one asks, the other signs',
  find: (facts) =>
    [...facts.proxies].flatMap(([node, answer]) =>
      (answered(answer)?.certificates ?? []).flatMap((identity) =>
        identityFindings(identity, node, facts.now),
      ),
    ),
};

const known: Check<PodFacts> = {
  code: 'AMBIT_CHECK_KNOWN_TO_PEERS',
  claim: 'the proxy of every node knows every enrolled pod, and that it speaks HBONE',
  remedy: 'see that every proxy is connected to the control plane (`ambit status`)',
  find: (facts) =>
    [...facts.proxies].flatMap(([node, answer]) => {
      const dump = answered(answer);
      return dump === undefined
        ? []
        : unknownPods(facts, dump).map(({ pod, cause }) =>
            error(`${cause} on node ${node}`, { object: podName(pod) }),
          );
    }),
};

export const POD_CHECKS: readonly Check<PodFacts>[] = [
  enrolled,
  annotated,
  carried,
  rules,
  annotationsUnderstood,
  certificates,
  known,
];

function stateText({ state, lastError }: ReportedPod): string {
  const { code, message } = lastError ?? {};
  const why = message === undefined ? '' : `: ${message}${code === undefined ? '' : ` (${code})`}`;
  return `is ${state}${why}`;
}

/** Less than a tenth of its life left: renewal, which begins at half of it, has failed for long. */
const STALE_SHARE = 0.1;

function identityFindings(identity: DumpedIdentity, node: string, now: number): Finding[] {
  const object = `${identity.identity ?? 'unknown'} on node ${node}`;
  const leaf = identity.certChain?.[0];
  if (leaf?.expirationTime === undefined || leaf.validFrom === undefined) {
    return [error(`has no certificate: ${identity.state ?? 'unknown'}`, { object })];
  }
  const [from, until] = [Date.parse(leaf.validFrom), Date.parse(leaf.expirationTime)];
  if (until <= now) return [error(`expired at ${leaf.expirationTime}`, { object })];
  if (from > now) return [error(`is valid only from ${leaf.validFrom}`, { object })];
  if (until - now > STALE_SHARE * (until - from)) return [];
  return [warning(`expires at ${leaf.expirationTime} and was not renewed`, { object })];
}

function unknownPods(facts: PodFacts, dump: ConfigDump): { pod: Pod; cause: string }[] {
  const byAddress = new Map(
    dump.workloads.flatMap((workload) => (workload.workloadIps ?? []).map((ip) => [ip, workload] as const)),
  );
  return enrolledPods(facts).flatMap((pod) => {
    const workload = byAddress.get(pod.status?.podIP ?? '');
    if (workload === undefined) return [{ pod, cause: 'is not known' }];
    return workload.protocol === 'HBONE' ? [] : [{ pod, cause: 'is known as one that speaks plain TCP' }];
  });
}

function wantedPods(facts: PodFacts): Pod[] {
  return facts.pods.filter((pod) => isAlive(pod) && (reportedPod(facts, pod)?.wanted ?? facts.isWanted(pod)));
}

function enrolledPods(facts: PodFacts): Pod[] {
  return facts.pods.filter((pod) => isAlive(pod) && reportedPod(facts, pod)?.state === 'enrolled');
}

/** A pod that has an address and is not on its way out. */
function isAlive({ metadata, status }: Pod): boolean {
  return (
    status?.phase === 'Running' && status.podIP !== undefined && metadata.deletionTimestamp === undefined
  );
}

function nodeOf(pod: Pod): string {
  return pod.spec?.nodeName ?? '';
}

function answered<T>(answer: Answer<T> | undefined): T | undefined {
  return answer?.kind === 'answered' ? answer.value : undefined;
}

function reportedPod(facts: PodFacts, pod: Pod): ReportedPod | undefined {
  return answered(facts.agents.get(nodeOf(pod)))?.pods.find((one) => one.uid === pod.metadata.uid);
}

function* reportedPods({ agents }: PodFacts): Iterable<ReportedPod> {
  for (const answer of agents.values()) yield* answered(answer)?.pods ?? [];
}
