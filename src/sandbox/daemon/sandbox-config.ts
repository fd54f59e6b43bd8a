/** What a sandbox was asked to be, as `up` hands it to the daemon; and where everything in its state directory is. */

import { join } from 'node:path';
import type { IpFamilies } from '../network/address-plan.ts';

export interface SandboxConfig {
  readonly name: string;
  /** The state directory. */
  readonly state: string;
  readonly nodes: number;
  readonly ipFamilies: IpFamilies;
  /** Undefined for a cluster without any mesh process. */
  readonly mesh: MeshConfig | undefined;
  /** End when standard input does: whoever holds the other end is gone. */
  readonly endWithInput: boolean;
}

export interface MeshConfig {
  /** Commands that stand in for ztunnel, by node. */
  readonly ztunnels: Readonly<Record<string, string>>;
  /** Of every process of the mesh, besides what it has anyway. */
  readonly env: Readonly<Record<string, string>>;
  /** A control plane that is there already, with the root certificate it is verified by. */
  readonly external: { readonly xdsAddress: string; readonly rootFile: string } | undefined;
}

/** Paths below the state directory. */
export class StatePaths {
  readonly state: string;

  constructor(state: string) {
    this.state = state;
  }

  get configFile(): string {
    return join(this.state, 'config.json');
  }

  /** Who the daemon is, for those outside. */
  get ownerFile(): string {
    return join(this.state, 'owner.json');
  }

  get socket(): string {
    return join(this.state, 'daemon.sock');
  }

  get objects(): string {
    return join(this.state, 'objects');
  }

  get logs(): string {
    return join(this.state, 'logs');
  }

  get daemonLog(): string {
    return join(this.logs, 'daemon.log');
  }

  get authority(): string {
    return join(this.state, 'ca');
  }

  get tokenKey(): string {
    return join(this.state, 'token-key.pem');
  }

  node(name: string): string {
    return join(this.state, 'nodes', name);
  }

  netns(node: string): string {
    return join(this.state, 'netns', node);
  }

  /** Where ztunnel of a node connects to its agent. */
  zdsSocket(node: string): string {
    return join(this.node(node), 'zds.sock');
  }

  /** Where the agent of a node takes calls of the CNI plugin. */
  pluginSocket(node: string): string {
    return join(this.node(node), 'plugin.sock');
  }

  /** Leads to the admin API of the ztunnel of a node. */
  adminSocket(node: string): string {
    return join(this.node(node), 'admin.sock');
  }

  /** The working directory of the ztunnel of a node. */
  ztunnel(node: string): string {
    return join(this.node(node), 'ztunnel');
  }
}
