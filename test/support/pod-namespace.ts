/** Network namespaces for tests: made with `ip netns`, joined by veth pairs, looked at with the system's programs. */

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { NetworkNamespace } from '../../src/sys/network-namespace.ts';

export const NETNS_FOLDER = '/run/netns';

const execFileAsync = promisify(execFile);

export function sh(command: string): string {
  return execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

let made = 0;

/** A namespace with loopback up, as a sandbox is before a CNI plugin has seen it. */
export class PodNamespace {
  readonly name: string;
  readonly path: string;
  readonly namespace: NetworkNamespace;
  #isWired = false;

  constructor() {
    this.name = `pod${++made}`;
    this.path = `${NETNS_FOLDER}/${this.name}`;
    sh(`ip netns add ${this.name} && ip -n ${this.name} link set lo up`);
    this.namespace = NetworkNamespace.open(this.path);
  }

  /** A veth pair between the pod and its node; the pod has `ip`, and a default route by `gateway` on the node. */
  connect(node: PodNamespace, ip: string, gateway: string): void {
    const host = `v${this.name}`;
    const [family, bits] = ip.includes(':') ? ['-6', '128 nodad'] : ['-4', '32'];
    if (!this.#isWired) {
      const peer = ['peer', 'name', 'eth0', 'netns', this.name];
      execFileSync('ip', ['link', 'add', host, 'netns', node.name, 'type', 'veth', ...peer]);
    }
    this.#isWired = true;
    node.#ip(family!, [
      `link set ${host} up`,
      `addr add ${gateway}/${bits} dev ${host}`,
      `route add ${ip} dev ${host}`,
    ]);
    this.#ip(family!, [
      'link set eth0 up',
      `addr add ${ip}/${bits} dev eth0`,
      `route add ${gateway} dev eth0`,
      `route add default via ${gateway} dev eth0`,
    ]);
  }

  /** Commands of `ip` in one process, since starting a thousand costs many seconds. */
  #ip(family: string, commands: readonly string[]): void {
    const args = [family, '-n', this.name, '-batch', '-'];
    execFileSync('ip', args, { input: commands.join('\n'), stdio: ['pipe', 'pipe', 'pipe'] });
  }

  run(command: string): string {
    return sh(`ip netns exec ${this.name} ${command}`);
  }

  /** What a server at the other end says, by a process with a socket in this namespace. */
  read(ip: string, port: number): Promise<string> {
    return this.runAsync(`exec 3<>/dev/tcp/${ip}/${port} && cat <&3`);
  }

  /** Runs a script of bash while this process goes on. */
  async runAsync(script: string): Promise<string> {
    const args = ['netns', 'exec', this.name, 'timeout', '5', 'bash', '-c', script];
    return (await execFileAsync('ip', args)).stdout;
  }

  /** Everything that redirection can touch, without counters, times and tables that hold nothing. */
  fingerprint(): string {
    return fingerprintOf(`ip netns exec ${this.name}`);
  }

  close(): void {
    this.namespace.close();
    sh(`ip netns del ${this.name}`);
  }
}

const SAVES = ['iptables-nft-save', 'iptables-legacy-save', 'ip6tables-nft-save', 'ip6tables-legacy-save'];

export function fingerprintOf(prefix: string): string {
  const saved = SAVES.map((save) => `${save}\n${withoutNoise(sh(`${prefix} ${save} 2>/dev/null`))}`);
  const routing = ['ip rule', 'ip -6 rule', 'ip route show table 100', 'ip -6 route show table 100'];
  return [
    ...saved,
    ...routing.map((command) => `${command}\n${sh(`${prefix} ${command} 2>/dev/null || true`)}`),
  ].join('\n');
}

/** A table that nobody uses any more cannot be unloaded; it shows as built-in chains without a rule. */
function withoutNoise(saved: string): string {
  return saved
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== 'COMMIT' && !/^:\S+ ACCEPT/.test(line))
    .filter((line, i, all) => !line.startsWith('*') || /^[:-]/.test(all[i + 1] ?? ''))
    .join('\n');
}
