/** A running cluster: its network, its objects, and the loops that keep the one in step with the other. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { type IpFamily, parseIp } from '../../base/ip.ts';
import { logger } from '../../telemetry/log.ts';
import { ClusterApi } from '../api/cluster-api.ts';
import { type EndpointSources, endpointsOfPort } from '../api/endpoints.ts';
import type { StoredService } from '../api/kube-object.ts';
import { ObjectStore } from '../api/object-store.ts';
import { Scheduler } from '../api/scheduler.ts';
import { WorkloadController } from '../api/workload-controller.ts';
import { dnsRecords } from '../dns/dns-records.ts';
import { Kubelet } from '../kubelet/kubelet.ts';
import { NodeLocalProcess } from '../kubelet/node-local-process.ts';
import type { PodAdmission, PodEnvironment } from '../kubelet/pod-runner.ts';
import { familiesOf, podCidr, ServiceAddressPool } from '../network/address-plan.ts';
import { bridgeCommands, bridgeSysctls } from '../network/link-commands.ts';
import { NodeNetwork, runBatch } from '../network/node-network.ts';
import { ServiceProxy } from '../network/service-proxy.ts';
import type { ServicePort } from '../network/service-rules.ts';
import { clusterDnsObjects, nodeObject, systemNamespaces } from './built-in-objects.ts';
import { type SandboxConfig, StatePaths } from './sandbox-config.ts';

const log = logger('cluster');

/** After a system tool has failed, everything is tried again this much later. */
const RETRY_MS = 1000;

interface ClusterNode {
  readonly network: NodeNetwork;
  readonly local: NodeLocalProcess;
  readonly proxy: ServiceProxy;
}

export class Cluster {
  readonly store: ObjectStore;
  readonly api: ClusterApi;
  readonly kubelet: Kubelet;
  readonly nodes: readonly ClusterNode[];
  readonly families: readonly IpFamily[];
  readonly #loops: readonly { reconcile(): void }[];
  #scheduled = false;
  /** The service rules of the latest round, on every node. */
  #rules: Promise<unknown> = Promise.resolve();

  private constructor(
    config: SandboxConfig,
    nodes: readonly ClusterNode[],
    store: ObjectStore,
    admission: PodAdmission,
  ) {
    this.families = familiesOf(config.ipFamilies);
    this.nodes = nodes;
    this.store = store;
    const serviceAddresses = new ServiceAddressPool();
    this.api = new ClusterApi(store, { families: this.families, serviceAddresses });
    const environments = nodes.map(({ network, local }): [string, PodEnvironment] => {
      const { families } = this;
      return [network.name, { store, node: network, local, families, admission, state: config.state }];
    });
    this.kubelet = new Kubelet(store, new Map(environments));
    this.#loops = [new WorkloadController(store), new Scheduler(store), this.kubelet];
    store.onChange(() => this.#schedule());
  }

  /**
   * Lays the network and starts what every node has; the process must be alone in a network namespace of its own.
   * @throws AMBIT_SANDBOX_COMMAND_FAILED
   */
  static async start(
    config: SandboxConfig,
    admissionOf: (store: ObjectStore) => PodAdmission,
  ): Promise<Cluster> {
    const paths = new StatePaths(config.state);
    const families = familiesOf(config.ipFamilies);
    for (const line of bridgeSysctls(families)) writeSysctl(line);
    await runBatch([], bridgeCommands(config.nodes, families));
    const indexes = Array.from({ length: config.nodes }, (_, i) => i + 1);
    const nodes = await Promise.all(
      indexes.map((index) => startNode({ index, nodes: config.nodes, families }, paths)),
    );
    const store = new ObjectStore(paths.objects);
    const cluster = new Cluster(config, nodes, store, admissionOf(store));
    cluster.#createBuiltIns();
    return cluster;
  }

  /** Resolves when all that follows from the objects as they are now is in force in the network of every node. */
  async settled(): Promise<void> {
    while (this.#scheduled) await new Promise((resolve) => setImmediate(resolve));
    await this.#rules;
  }

  #createBuiltIns(): void {
    const nodes = this.nodes.map(({ network }) => ({
      name: network.name,
      ips: network.ips,
      podCidrs: this.families.map((family) => podCidr(network.index, family)),
    }));
    for (const object of [...systemNamespaces(), ...nodes.map(nodeObject), ...clusterDnsObjects(nodes)]) {
      this.api.create(object);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#reconcile();
    });
  }

  /** Every loop compares what is with what should be; what one changes brings another round. */
  #reconcile(): void {
    for (const loop of this.#loops) loop.reconcile();
    const services = this.store.list('Service');
    const sources = { pods: this.store.list('Pod'), slices: this.store.list('EndpointSlice') };
    const table = dnsRecords(services, sources);
    const ports = services.flatMap((service) => servicePorts(service, sources));
    for (const { local } of this.nodes) local.setDnsTable(table);
    this.#rules = Promise.all(this.nodes.map((node) => this.#updateRules(node, ports)));
  }

  async #updateRules({ proxy, network }: ClusterNode, ports: readonly ServicePort[]): Promise<void> {
    try {
      await proxy.update(ports);
    } catch (thrown) {
      log.error('service rules are not in force', { node: network.name, error: messageOf(thrown) });
      setTimeout(() => this.#schedule(), RETRY_MS);
    }
  }
}

function servicePorts(service: StoredService, sources: EndpointSources): readonly ServicePort[] {
  const { name, namespace } = service.metadata;
  const vips = (service.spec?.clusterIPs ?? []).flatMap((ip) => parseIp(ip) ?? []);
  if (vips.length === 0) return [];
  return (service.spec?.ports ?? []).map((port) => ({
    name: `${namespace}/${name}:${port.name ?? port.port}`,
    protocol: (port.protocol ?? 'TCP').toLowerCase() as ServicePort['protocol'],
    vips,
    port: port.port,
    endpoints: endpointsOfPort(service, port, sources).filter((endpoint) => endpoint.ready),
  }));
}

async function startNode(
  place: { readonly index: number; readonly nodes: number; readonly families: readonly IpFamily[] },
  paths: StatePaths,
): Promise<ClusterNode> {
  const network = await NodeNetwork.create({ ...place, folder: paths.node(`node${place.index}`) });
  const local = new NodeLocalProcess(network, {
    logFile: join(paths.logs, `${network.name}.log`),
    adminSocket: paths.adminSocket(network.name),
  });
  const proxy = new ServiceProxy(network, place.families);
  await Promise.all([local.start(), proxy.start()]);
  return { network, local, proxy };
}

function writeSysctl(line: string): void {
  const [path, value] = line.split(' ') as [string, string];
  try {
    writeFileSync(`/proc/sys/net/${path}`, value);
  } catch (thrown) {
    // A kernel without IPv6 has nothing to set there.
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
  }
}
