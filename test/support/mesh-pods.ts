/** Pods for tests of the data path: namespaces joined by a router, redirected like enrolled ones where wanted. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { chooseIptables } from '../../src/cni/iptables-tools.ts';
import { podOptions } from '../../src/cni/pod-options.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import type { TestPod } from './mesh-node.ts';
import { PodNamespace } from './pod-namespace.ts';

/** A pod of a test with its namespace. */
export interface LivePod extends TestPod {
  readonly netns: PodNamespace;
}

const FORWARDING =
  "sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'";

/** A process with pipes to its standard input and output. */
export type PodProcess = ChildProcessByStdio<Writable, Readable, null>;

export class MeshPods {
  readonly #router = new PodNamespace();

  constructor() {
    this.#router.run(FORWARDING);
  }

  /** A pod with the addresses 10.0.0.`index` and fd00::`index`. */
  make(name: string, index: number): LivePod {
    const netns = new PodNamespace();
    netns.connect(this.#router, `10.0.0.${index}`, `10.0.${index}.254`);
    netns.connect(this.#router, `fd00::${index}`, `fd00:${index}::fe`);
    const addresses = [`10.0.0.${index}`, `fd00::${index}`];
    return { name, namespace: 'shop', serviceAccount: name, addresses, path: netns.path, netns };
  }

  /** The rules of an enrolled pod. */
  async redirect(...pods: readonly LivePod[]): Promise<void> {
    const redirection = new Redirection(await chooseIptables('nft'));
    for (const pod of pods) {
      await redirection.ensure(pod.netns.namespace, podOptions({}, true).options, true);
    }
  }
}

/** Starts a program of this Node inside a pod. */
export function runInPod(pod: LivePod, file: string, ...args: readonly string[]): PodProcess {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', file];
  return spawn('ip', ['netns', 'exec', pod.netns.name, ...node, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

/** Sends a text from inside a pod and returns what comes back; an empty string when the connection is cut. */
export async function talk(pod: LivePod, ip: string, port: number, message: string): Promise<string> {
  const script = `exec 3<>/dev/tcp/${ip}/${port} && printf %s "${message}" >&3 && timeout 5 head -c ${message.length} <&3`;
  const child = spawn('ip', ['netns', 'exec', pod.netns.name, 'timeout', '8', 'bash', '-c', script]);
  return text(child.stdout);
}
