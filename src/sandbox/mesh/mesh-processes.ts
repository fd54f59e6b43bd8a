/** The mesh's own processes: pods in ambit-system, run by the sandbox's kubelet like all others. */

import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';
import type { StoredPod } from '../api/kube-object.ts';
import type { ObjectDraft } from '../api/object-store.ts';
import type { CniFacts, ControlPlaneFacts, MeshProcessFacts, ZtunnelFacts } from '../client/environment.ts';
import type { MeshComponent } from '../client/sandbox-protocol.ts';
import { SYSTEM_NAMESPACE } from '../daemon/built-in-objects.ts';
import type { Cluster } from '../daemon/cluster.ts';
import { type MeshConfig, type SandboxConfig, StatePaths } from '../daemon/sandbox-config.ts';
import type { ContainerStatus } from '../kubelet/container-state.ts';
import {
  CLUSTER_ID,
  CONTROL_PLANE_HOST,
  cniPod,
  controlPlanePod,
  controlPlaneService,
  MESH_PORTS,
  meshLabels,
  ROOT_FILE,
  serviceAccount,
  TOKEN_FILE,
  TRUST_DOMAIN,
  withEnvironment,
  ztunnelPod,
} from './mesh-pods.ts';
import { TokenIssuer } from './token-issuer.ts';

const log = logger('mesh');

/** Tokens live for 12 hours; the kubelet renews them well before. */
const TOKEN_RENEWAL_MS = 6 * 3600 * 1000;
/** A control plane makes its root certificate as the first thing it does. */
const ROOT_POLL_MS = 20;

interface MeshPod {
  readonly name: string;
  readonly create: (uid: string) => Promise<ObjectDraft>;
}

export class MeshProcesses {
  readonly #config: SandboxConfig;
  readonly #mesh: MeshConfig;
  readonly #paths: StatePaths;
  readonly #cluster: Cluster;
  readonly #tokens: TokenIssuer;
  readonly #pods: readonly MeshPod[];
  readonly #creating = new Set<string>();

  constructor(config: SandboxConfig, mesh: MeshConfig, cluster: Cluster) {
    this.#config = config;
    this.#mesh = mesh;
    this.#paths = new StatePaths(config.state);
    this.#cluster = cluster;
    this.#tokens = new TokenIssuer(this.#paths.tokenKey);
    this.#pods = this.#plan();
  }

  /** Creates what is missing now, and whatever will be missing later: a deleted pod comes back as from a DaemonSet. */
  start(): void {
    const { api, store } = this.#cluster;
    for (const account of ['controlplane', 'cni', 'ztunnel']) api.create(serviceAccount(account));
    if (this.#mesh.external === undefined) api.create(controlPlaneService(this.#config.ipFamilies));
    store.onChange(() => this.#createMissing());
    this.#createMissing();
    setInterval(() => void this.#renewTokens(), TOKEN_RENEWAL_MS).unref();
  }

  labelsOf(component: MeshComponent): Readonly<Record<string, string>> {
    return {
      app: component,
      'app.kubernetes.io/part-of': meshLabels(component)['app.kubernetes.io/part-of']!,
    };
  }

  controlPlaneFacts(): ControlPlaneFacts {
    const common = {
      address: this.#xdsAddress,
      rootFile: this.#rootFile,
      clusterId: CLUSTER_ID,
      trustDomain: TRUST_DOMAIN,
    };
    if (this.#mesh.external !== undefined) return common;
    const process = {
      ...this.#processFacts('controlplane'),
      ip: this.#pod('controlplane')?.status?.podIP ?? '',
      xdsPort: MESH_PORTS.xds,
      httpPort: MESH_PORTS.controlPlaneHttp,
      authorityFolder: this.#paths.authority,
      tokenKeyFile: this.#paths.tokenKey,
    };
    return { ...common, process };
  }

  cniFacts(node: string): CniFacts {
    return {
      ...this.#processFacts(`cni-${node}`),
      zdsSocket: this.#paths.zdsSocket(node),
      pluginSocket: this.#paths.pluginSocket(node),
      healthPort: MESH_PORTS.cniHealth,
      metricsPort: MESH_PORTS.cniMetrics,
    };
  }

  ztunnelFacts(node: string): ZtunnelFacts {
    const workingDirectory = this.#paths.ztunnel(node);
    return {
      ...this.#processFacts(`ztunnel-${node}`),
      ip: this.#pod(`ztunnel-${node}`)?.status?.podIP ?? '',
      adminPort: MESH_PORTS.ztunnelAdmin,
      adminSocket: this.#paths.adminSocket(node),
      metricsPort: MESH_PORTS.ztunnelMetrics,
      readinessPort: MESH_PORTS.ztunnelReadiness,
      workingDirectory,
      tokenFile: join(workingDirectory, TOKEN_FILE),
      rootFile: join(workingDirectory, ROOT_FILE),
    };
  }

  #plan(): readonly MeshPod[] {
    const nodes = this.#cluster.nodes.map(({ network }) => network.name);
    const controlPlane: MeshPod = {
      name: 'controlplane',
      create: async (uid) => controlPlanePod(nodes[0]!, uid, this.#paths),
    };
    const perNode = nodes.flatMap((node): MeshPod[] => [
      { name: `cni-${node}`, create: async (uid) => cniPod(node, uid, this.#paths) },
      { name: `ztunnel-${node}`, create: (uid) => this.#prepareZtunnel(node, uid) },
    ]);
    return this.#mesh.external === undefined ? [controlPlane, ...perNode] : perNode;
  }

  #createMissing(): void {
    for (const pod of this.#pods) {
      if (this.#creating.has(pod.name) || this.#pod(pod.name) !== undefined) continue;
      this.#creating.add(pod.name);
      pod
        .create(randomUUID())
        .then((draft) => this.#cluster.api.create(withEnvironment(draft, this.#mesh.env)))
        .catch((thrown) =>
          log.error('a process of the mesh cannot be started', { pod: pod.name, error: messageOf(thrown) }),
        )
        .finally(() => this.#creating.delete(pod.name));
    }
  }

  /** Everything ztunnel reads at its start must be there before it. */
  async #prepareZtunnel(node: string, uid: string): Promise<ObjectDraft> {
    const folder = this.#paths.ztunnel(node);
    await this.#untilRoot();
    const rootLink = join(folder, ROOT_FILE);
    mkdirSync(dirname(rootLink), { recursive: true });
    rmSync(rootLink, { force: true });
    // A link: a rotated root is seen at once.
    symlinkSync(this.#rootFile, rootLink);
    await this.#writeToken(node, uid);
    return ztunnelPod({
      node,
      uid,
      paths: this.#paths,
      xdsAddress: this.#xdsAddress,
      ipv6: this.#cluster.families.includes(6),
      command: this.#mesh.ztunnels[node],
    });
  }

  #writeToken(node: string, uid: string): Promise<void> {
    return this.#tokens.write(join(this.#paths.ztunnel(node), TOKEN_FILE), {
      namespace: SYSTEM_NAMESPACE,
      serviceAccount: 'ztunnel',
      pod: { name: `ztunnel-${node}`, uid, node },
    });
  }

  async #renewTokens(): Promise<void> {
    for (const { network } of this.#cluster.nodes) {
      const pod = this.#pod(`ztunnel-${network.name}`);
      if (pod !== undefined) await this.#writeToken(network.name, pod.metadata.uid);
    }
  }

  async #untilRoot(): Promise<void> {
    while (!existsSync(this.#rootFile)) await new Promise((resolve) => setTimeout(resolve, ROOT_POLL_MS));
  }

  get #rootFile(): string {
    return this.#mesh.external?.rootFile ?? join(this.#paths.authority, 'root-cert.pem');
  }

  get #xdsAddress(): string {
    return this.#mesh.external?.xdsAddress ?? `https://${CONTROL_PLANE_HOST}:${MESH_PORTS.xds}`;
  }

  #pod(name: string): StoredPod | undefined {
    return this.#cluster.store.get('Pod', SYSTEM_NAMESPACE, name);
  }

  #processFacts(name: string): MeshProcessFacts {
    const pod = this.#pod(name);
    const container = pod === undefined ? undefined : this.#cluster.kubelet.runnerOf(pod)?.containers[0];
    const pid = container?.pid;
    const [status] = (pod?.status?.containerStatuses ?? []) as unknown as readonly ContainerStatus[];
    return {
      pod: `${SYSTEM_NAMESPACE}/${name}`,
      log: container?.logFile ?? '',
      restarts: status?.restartCount ?? 0,
      ...(pid === undefined ? {} : { pid, netns: '', enter: [] }),
    };
  }
}
