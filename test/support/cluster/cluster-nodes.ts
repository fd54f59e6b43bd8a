/** The nodes of the cluster as machines: commands on them, their power, the processes of their containers, their wire. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../sandbox-commands.ts';
import type { Segment } from '../wire-capture.ts';
import {
  type CommandResult,
  endCommand,
  runCommand,
  startCommand,
  testbedScript,
  tryCommand,
} from './command.ts';

/** A hierarchy that every process of a cluster is in. */
const CGROUPS = '/sys/fs/cgroup/pids';
const MAIN = join(import.meta.dirname, '..', '..', '..', 'src', 'main.ts');
/** Nobody listens there; a call to it shows that everything before it has been seen. */
const MARKER_PORT = 9;

export class ClusterNodes {
  readonly #cgroup: string;

  constructor(cluster: string) {
    this.#cgroup = join(CGROUPS, `ambit-cluster-${cluster}`);
  }

  /** What a command prints in all the namespaces of a node. */
  run(node: string, ...command: readonly string[]): Promise<string> {
    return runCommand(this.enter(node, ...command));
  }

  tryRun(node: string, ...command: readonly string[]): Promise<CommandResult> {
    return tryCommand(this.enter(node, ...command));
  }

  enter(node: string, ...command: readonly string[]): readonly string[] {
    return [testbedScript('in-node.sh'), indexOf(node), ...command];
  }

  /** A power cut, and on again; resolves when the node has begun to start. */
  async reboot(node: string): Promise<void> {
    await runCommand([testbedScript('node.sh'), 'reboot', indexOf(node)]);
  }

  /** Kills a server of the control plane and starts it again; the API server is ready when this resolves. */
  async restartServer(
    server: 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler',
  ): Promise<void> {
    await runCommand([testbedScript('control-plane.sh'), 'restart', server]);
  }

  /** The first process of a container, as this machine counts. @param containerId as in a pod's status */
  pidOf(node: string, containerId: string): number {
    const id = containerId.replace(/^containerd:\/\//, '');
    const folder = findFolder(join(this.#cgroup, node, 'kubepods'), id);
    if (folder === undefined) throw new Error(`container ${id} does not run on ${node}`);
    const pids = readFileSync(join(folder, 'cgroup.procs'), 'utf8').trim().split('\n').map(Number);
    return Math.min(...pids);
  }

  /** The TCP segments on eth0 of a node, both ways, from before the action begins until it has ended. */
  async capture(node: string, action: () => Promise<unknown>): Promise<readonly Segment[]> {
    const program = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
    const child = startCommand(this.enter(node, ...program, 'packets', '--interface', 'eth0'));
    const segments: Segment[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => segments.push(parseSegment(line)));
    let messages = '';
    child.stderr.on('data', (text: string) => {
      messages += text;
    });
    try {
      await until('the capture runs', async () => messages.includes('listening on'));
      await action();
      await this.#untilMarked(node, segments);
      return segments.filter((one) => !isMarker(one));
    } finally {
      await endCommand(child, 'SIGTERM');
    }
  }

  /** A refused call to the control plane's end of the wire. */
  async #untilMarked(node: string, segments: readonly Segment[]): Promise<void> {
    await this.tryRun(node, 'bash', '-c', `: < /dev/tcp/172.30.0.1/${MARKER_PORT}`);
    await until('the last segment is captured', async () => segments.some(isMarker));
  }
}

function indexOf(node: string): string {
  return node.replace(/^node/, '');
}

function isMarker({ source, destination }: Segment): boolean {
  return [source, destination].some((one) => one.endsWith(`:${MARKER_PORT}`));
}

/** `10.244.1.3:40112 > 10.244.2.4:8080 59 bytes GET / HTTP/1.1..` */
function parseSegment(line: string): Segment {
  const match = /^(\S+) > (\S+) \d+ bytes ?(.*)$/.exec(line);
  return { source: match?.[1] ?? '', destination: match?.[2] ?? '', text: match?.[3] ?? line };
}

/** Kubelet's hierarchy: quality of service, pod, container. */
function findFolder(top: string, name: string): string | undefined {
  if (!existsSync(top)) return undefined;
  const pending = [top];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const names = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isDirectory());
    if (names.some((one) => one.name === name)) return join(folder, name);
    pending.push(...names.map((one) => join(folder, one.name)));
  }
  return undefined;
}
