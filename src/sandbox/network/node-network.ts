/** One node's network: its namespace, its place on the bridge, and the cables of its pods. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IpAddress, IpFamily } from '../../base/ip.ts';
import { runCommand } from '../host/run-command.ts';
import { nodeAddress, PodAddressPool } from './address-plan.ts';
import {
  nodeCableCommands,
  nodeRouteCommands,
  nodeSysctls,
  podCableCommands,
  podRouteCommands,
} from './link-commands.ts';
import { NamespaceHolder } from './namespace-holder.ts';
import { hostsFile, resolverFile } from './resolver-files.ts';

export interface NodeNetworkOptions {
  /** From 1. */
  readonly index: number;
  readonly nodes: number;
  readonly families: readonly IpFamily[];
  /** For the files of this node. */
  readonly folder: string;
}

export class NodeNetwork {
  readonly name: string;
  readonly index: number;
  readonly ips: readonly IpAddress[];
  readonly holder: NamespaceHolder;
  readonly podAddresses: PodAddressPool;

  private constructor(options: NodeNetworkOptions, holder: NamespaceHolder) {
    this.name = nodeName(options.index);
    this.index = options.index;
    this.ips = options.families.map((family) => nodeAddress(options.index, family));
    this.holder = holder;
    this.podAddresses = new PodAddressPool(options.index);
  }

  /** The bridge must be there. */
  static async create(options: NodeNetworkOptions): Promise<NodeNetwork> {
    const name = nodeName(options.index);
    mkdirSync(options.folder, { recursive: true });
    writeFileSync(join(options.folder, 'resolv.conf'), resolverFile('default', options.families));
    writeFileSync(join(options.folder, 'hosts'), hostsFile(name, []));
    const sysctls = nodeSysctls(options.families);
    const holder = await NamespaceHolder.start({ name, folder: options.folder, sysctls });
    const node = new NodeNetwork(options, holder);
    await runBatch([], nodeCableCommands(name, holder.pid));
    await runBatch(holder.enter(['net']), nodeRouteCommands(options.index, options.nodes, options.families));
    return node;
  }

  /** Joins a pod's namespace to this node. */
  async attachPod(pod: {
    readonly holder: NamespaceHolder;
    readonly link: string;
    readonly ips: readonly IpAddress[];
  }): Promise<void> {
    const cable = { link: pod.link, pid: pod.holder.pid, nodeIndex: this.index, ips: pod.ips };
    await runBatch(this.holder.enter(['net']), podCableCommands(cable));
    await runBatch(pod.holder.enter(['net']), podRouteCommands(cable));
  }
}

export function nodeName(index: number): string {
  return `node${index}`;
}

/** Hands all lines to one `ip` process, which stops at the first that fails. */
export async function runBatch(inside: readonly string[], lines: readonly string[]): Promise<void> {
  await runCommand([...inside, 'ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
