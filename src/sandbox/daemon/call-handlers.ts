/** What the daemon does when a command calls. */

import type { KindInfo } from '../api/kind-registry.ts';
import {
  isActive,
  isReady,
  type KubeObject,
  type LabelSelector,
  type Labels,
  type Reference,
  referenceTo,
  type StoredPod,
  selects,
} from '../api/kube-object.ts';
import type {
  ContainerAnswer,
  ContainerQuery,
  ObjectQuery,
  SandboxCalls,
} from '../client/sandbox-protocol.ts';
import { sandboxErrors } from '../errors.ts';
import { containerCommand } from '../kubelet/container-command.ts';
import type { CallHandlers } from './call-server.ts';
import { environmentOf } from './environment-facts.ts';
import type { HandlerContext } from './handler-context.ts';
import { MergedView } from './merged-view.ts';
import { readinessOf } from './readiness.ts';
import { StatePaths } from './sandbox-config.ts';

/** A restarted process gets this long to end in good order. */
const RESTART_GRACE_MS = 10_000;

export function callHandlers(context: HandlerContext): CallHandlers {
  const { api, store, kubelet } = context.cluster;
  const paths = new StatePaths(context.config.state);
  const view = new MergedView(paths.objects);
  return {
    // Whoever is told that something was done finds it done.
    apply: async ({ manifests, namespace }) => {
      const applied = api.apply(manifests, namespace);
      await context.cluster.settled();
      return applied;
    },
    delete: async ({ references, graceSeconds }) => {
      for (const reference of references) api.require(reference);
      for (const reference of references) api.delete(reference, graceSeconds);
      await context.cluster.settled();
      return references;
    },
    label: async ({ changes, ...query }) => {
      const object = api.label(requireReference(context, query), changes);
      await context.cluster.settled();
      return referenceTo(object);
    },
    objects: (query) => listObjects(context, query, view),
    readiness: async () => {
      const entries = readinessOf(store, kubelet);
      await context.cluster.settled();
      return entries;
    },
    container: (query) => describeContainer(context, query),
    environment: () => environmentOf(context, paths),
    restart: (request) => restart(context, request),
    down: () => {
      setImmediate(context.end);
      return {};
    },
  };
}

function requireReference(
  { cluster }: HandlerContext,
  query: ObjectQuery & { readonly name: string },
): Reference {
  const info = cluster.api.requireKind(query.kind);
  const namespace = info.namespaced ? (query.namespace ?? 'default') : '';
  return referenceTo(
    cluster.api.require({ kind: info.kind, group: info.group, namespace, name: query.name }),
  );
}

function listObjects({ cluster }: HandlerContext, query: ObjectQuery, view: MergedView) {
  const info = cluster.api.requireKind(query.kind);
  if (query.name !== undefined) {
    const reference = { ...named(info, query), name: query.name };
    return { info, objects: view.merge([cluster.api.require(reference)]) };
  }
  const all = cluster.store.listAny(info.kind, info.group);
  const { namespace } = query;
  const inScope =
    info.namespaced && namespace !== undefined
      ? all.filter((one) => one.metadata.namespace === namespace)
      : all;
  return { info, objects: view.merge([...inScope].sort(byName)) };
}

function named(info: KindInfo, { namespace = 'default' }: ObjectQuery) {
  return { kind: info.kind, group: info.group, namespace: info.namespaced ? namespace : '' };
}

function byName(a: KubeObject, b: KubeObject): number {
  return (
    a.metadata.namespace.localeCompare(b.metadata.namespace) || a.metadata.name.localeCompare(b.metadata.name)
  );
}

function describeContainer({ cluster }: HandlerContext, query: ContainerQuery): ContainerAnswer {
  const pod = requirePod(cluster, query);
  const runner = cluster.kubelet.runnerOf(pod);
  const containers = runner?.containers ?? [];
  const container =
    query.container === undefined ? containers[0] : containers.find((one) => one.name === query.container);
  const spec = pod.spec?.containers.find((one) => one.name === container?.name);
  if (container === undefined || spec === undefined) {
    const which = query.container === undefined ? '' : ` called ${query.container}`;
    throw sandboxErrors.AMBIT_SANDBOX_NOT_RUNNING(
      `pod ${query.namespace}/${query.pod} has no container${which} yet`,
    );
  }
  const command = containerCommand(pod, spec);
  const pid = runner?.sandbox?.holder.pid;
  return {
    container: container.name,
    logFile: container.logFile,
    ...(pid === undefined ? {} : { pid }),
    env: command.kind === 'command' ? command.env : {},
    ...(spec.workingDir === undefined ? {} : { workingDirectory: spec.workingDir }),
  };
}

/** `web-1`, `pod/web-1`, or the owner of pods, as `deploy/web`: then one of its pods, a ready one if there is any. */
function requirePod(
  { api, store }: HandlerContext['cluster'],
  { pod, namespace }: ContainerQuery,
): StoredPod {
  const [kind, name] = pod.includes('/') ? (pod.split('/') as [string, string]) : ['pod', pod];
  const info = api.requireKind(kind);
  const object = api.require({ kind: info.kind, group: info.group, namespace, name });
  if (object.kind === 'Pod') return object as StoredPod;
  const { selector } = (object.spec ?? {}) as { readonly selector?: LabelSelector };
  const wanted = selector?.matchLabels ?? (selector as Labels | undefined);
  const pods = store.list('Pod').filter((one) => {
    const { labels, namespace: own } = one.metadata;
    return own === namespace && isActive(one) && selects(wanted, labels);
  });
  const found = pods.find(isReady) ?? pods[0];
  if (found !== undefined) return found;
  throw sandboxErrors.AMBIT_SANDBOX_NOT_FOUND(`${pod} has no pods in namespace ${namespace}`);
}

async function restart(
  { cluster, mesh }: HandlerContext,
  { component, node }: SandboxCalls['restart']['request'],
): Promise<readonly Reference[]> {
  const pods = cluster.store.list('Pod').filter((pod) => {
    const onNode = node === undefined || pod.spec?.nodeName === node;
    return onNode && mesh !== undefined && selects(mesh.labelsOf(component), pod.metadata.labels);
  });
  if (pods.length === 0) {
    const where = node === undefined ? '' : ` on ${node}`;
    throw sandboxErrors.AMBIT_SANDBOX_NOT_FOUND(`there is no ${component}${where} in this sandbox`);
  }
  await Promise.all(pods.map((pod) => cluster.kubelet.runnerOf(pod)?.restart(RESTART_GRACE_MS)));
  return pods.map(referenceTo);
}
