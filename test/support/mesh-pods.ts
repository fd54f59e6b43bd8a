/** Pods for tests of the data path: namespaces joined by a router, redirected like enrolled ones where wanted. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { chooseIptables } from '../../src/cni/iptables-tools.ts';
import { podOptions } from '../../src/cni/pod-options.ts';
import { Redirection } from '../../src/cni/redirection.ts';
import type { TestPod } from './mesh-node.ts';
import { PodNamespace, sh } from './pod-namespace.ts';

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

  /** Gives this very process the address 10.0.0.`index`, as if it were a pod that is not in the mesh, and further ones. */
  attachSelf(index: number, more: readonly string[] = []): string {
    const [ip, gateway] = [`10.0.0.${index}`, `10.0.${index}.254`];
    const router = `ip -n ${this.#router.name}`;
    const steps = [
      `ip link add self netns ${this.#router.name} type veth peer name eth0`,
      `${router} link set self up`,
      'ip link set eth0 up',
      `${router} addr add ${gateway}/32 dev self`,
      ...[ip, ...more].flatMap((one) => [
        `${router} route add ${one} dev self`,
        `ip addr add ${one}/32 dev eth0`,
      ]),
      `ip route add ${gateway} dev eth0`,
      `ip route add default via ${gateway} dev eth0`,
    ];
    sh(steps.join(' && '));
    return ip;
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

/** What a script of bash prints inside a pod; it ends after `seconds` at the latest. */
export async function shellInPod(pod: LivePod, script: string, seconds = 8): Promise<string> {
  const command = ['timeout', String(seconds), 'bash', '-c', script];
  const child = spawn('ip', ['netns', 'exec', pod.netns.name, ...command]);
  return text(child.stdout);
}

/** Sends a text from inside a pod and returns what comes back; an empty string when the connection is cut. */
export function talk(pod: LivePod, ip: string, port: number, message: string): Promise<string> {
  const answer = `timeout 5 head -c ${message.length} <&3`;
  return shellInPod(pod, `exec 3<>/dev/tcp/${ip}/${port} && printf %s "${message}" >&3 && ${answer}`);
}
