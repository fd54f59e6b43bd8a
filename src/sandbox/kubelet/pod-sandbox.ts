/** A pod's namespaces and network on its node: everything that is there before its first container starts. */

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IpAddress, IpFamily } from '../../base/ip.ts';
import type { StoredPod } from '../api/kube-object.ts';
import { namespaceOf, pidsSharingMounts, procPid, sendSignal } from '../host/process-table.ts';
import { familiesOf, type IpFamilies, type PodAddresses } from '../network/address-plan.ts';
import { podSysctls } from '../network/link-commands.ts';
import { NamespaceHolder } from '../network/namespace-holder.ts';
import type { NodeNetwork } from '../network/node-network.ts';
import { hostsFile, resolverFile } from '../network/resolver-files.ts';

/** On a pod: the IP families it has, among those of the cluster. */
export const FAMILIES_ANNOTATION = 'sandbox.ambit.io/ip-families';

export interface PodSandboxOptions {
  readonly pod: StoredPod;
  readonly node: NodeNetwork;
  /** Of the cluster. */
  readonly families: readonly IpFamily[];
  /** For the files of this pod. */
  readonly folder: string;
  /** Where the node agent finds the network namespaces of the node's pods, by uid. */
  readonly netnsFolder: string;
}

export class PodSandbox {
  readonly ips: readonly IpAddress[];
  readonly holder: NamespaceHolder;
  /** For the node agent; undefined for a pod on the node's own network. */
  readonly netnsFile: string | undefined;
  readonly #folder: string;
  readonly #addresses: PodAddresses | undefined;

  private constructor(
    options: PodSandboxOptions,
    holder: NamespaceHolder,
    addresses: PodAddresses | undefined,
  ) {
    this.ips = addresses?.ips ?? options.node.ips;
    this.holder = holder;
    this.#folder = options.folder;
    this.#addresses = addresses;
    this.netnsFile =
      addresses === undefined ? undefined : join(options.netnsFolder, options.pod.metadata.uid);
  }

  /** @throws AMBIT_SANDBOX_COMMAND_FAILED, AMBIT_SANDBOX_FULL; nothing is left behind then */
  static async create(options: PodSandboxOptions): Promise<PodSandbox> {
    const { pod, node } = options;
    const families = podFamilies(pod, options.families);
    const addresses = pod.spec?.hostNetwork === true ? undefined : node.podAddresses.take(families);
    try {
      const ips = addresses?.ips ?? node.ips;
      writeFiles(options, families, ips);
      const holder = await NamespaceHolder.start({
        name: pod.spec?.hostname ?? pod.metadata.name,
        folder: options.folder,
        ...(addresses === undefined
          ? { network: node.holder, sysctls: [] }
          : { sysctls: podSysctls(families) }),
      });
      const sandbox = new PodSandbox(options, holder, addresses);
      await sandbox.#connect(options);
      return sandbox;
    } catch (thrown) {
      addresses?.release();
      throw thrown;
    }
  }

  /** Lets go of everything, and ends whatever still runs inside. */
  async remove(): Promise<void> {
    if (this.netnsFile !== undefined) rmSync(this.netnsFile, { force: true });
    this.#endStrays();
    await this.holder.stop();
    this.#addresses?.release();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #connect({ pod, node, netnsFolder }: PodSandboxOptions): Promise<void> {
    if (this.netnsFile === undefined) return;
    try {
      const link = `veth${pod.metadata.uid.slice(0, 8)}`;
      await node.attachPod({ holder: this.holder, link, ips: this.ips });
      mkdirSync(netnsFolder, { recursive: true });
      symlinkSync(`/proc/${procPid(this.holder.pid)}/ns/net`, this.netnsFile);
    } catch (thrown) {
      await this.holder.stop();
      throw thrown;
    }
  }

  /** Processes that left their container's session are known by the pod's mount namespace. */
  #endStrays(): void {
    const { pid: holder, alive } = this.holder;
    if (!alive || namespaceOf(procPid(holder), 'mnt') === namespaceOf('self', 'mnt')) return;
    for (const pid of pidsSharingMounts(holder)) sendSignal(pid, 'SIGKILL');
  }
}

function podFamilies(pod: StoredPod, families: readonly IpFamily[]): readonly IpFamily[] {
  const asked = pod.metadata.annotations?.[FAMILIES_ANNOTATION];
  if (asked !== 'ipv4' && asked !== 'ipv6' && asked !== 'dual') return families;
  const wanted = familiesOf(asked satisfies IpFamilies).filter((family) => families.includes(family));
  return wanted.length === 0 ? families : wanted;
}

function writeFiles(
  { pod, folder }: PodSandboxOptions,
  families: readonly IpFamily[],
  ips: readonly IpAddress[],
): void {
  mkdirSync(folder, { recursive: true });
  const policy = pod.spec ?? {};
  writeFileSync(
    join(folder, 'resolv.conf'),
    resolverFile(pod.metadata.namespace, families, policy as object),
  );
  writeFileSync(join(folder, 'hosts'), hostsFile(pod.metadata.name, ips));
}
