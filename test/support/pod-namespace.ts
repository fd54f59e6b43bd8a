/** Network namespaces for tests: made with `ip netns`, joined by veth pairs, looked at with the system's programs. */

import { execFileSync } from 'node:child_process';
import { NetworkNamespace } from '../../src/sys/network-namespace.ts';

export const NETNS_FOLDER = '/run/netns';

export function sh(command: string): string {
  return execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

let made = 0;

/** A namespace with loopback up, as a sandbox is before a CNI plugin has seen it. */
export class PodNamespace {
  readonly name: string;
  readonly path: string;
  readonly namespace: NetworkNamespace;

  constructor() {
    this.name = `pod${++made}`;
    this.path = `${NETNS_FOLDER}/${this.name}`;
    sh(`ip netns add ${this.name} && ip -n ${this.name} link set lo up`);
    this.namespace = NetworkNamespace.open(this.path);
  }

  /** A veth pair to the namespace of the tests; the pod has `ip`, a default route, and an address nobody else has. */
  connect(ip: string, gateway: string): void {
    const host = `v${this.name}`;
    sh(`ip link add ${host} type veth peer name eth0 netns ${this.name}`);
    sh(`ip link set ${host} up; ip -n ${this.name} link set eth0 up`);
    if (ip.includes(':')) {
      sh(`ip addr add ${gateway}/128 dev ${host} nodad; ip -6 route add ${ip}/128 dev ${host}`);
      sh(`ip -n ${this.name} addr add ${ip}/128 dev eth0 nodad; ip -n ${this.name} -6 route add ${gateway}/128 dev eth0`);
      sh(`ip -n ${this.name} -6 route add default via ${gateway} dev eth0`);
    } else {
      sh(`ip addr add ${gateway}/32 dev ${host}; ip route add ${ip}/32 dev ${host}`);
      sh(`ip -n ${this.name} addr add ${ip}/32 dev eth0; ip -n ${this.name} route add ${gateway}/32 dev eth0`);
      sh(`ip -n ${this.name} route add default via ${gateway}`);
    }
  }

  run(command: string): string {
    return sh(`ip netns exec ${this.name} ${command}`);
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
  return [...saved, ...routing.map((command) => `${command}\n${sh(`${prefix} ${command} 2>/dev/null || true`)}`)].join(
    '\n',
  );
}

/** A table that nobody uses any more cannot be unloaded; it shows as built-in chains without a rule. */
function withoutNoise(saved: string): string {
  return saved
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== 'COMMIT' && !/^:\S+ ACCEPT/.test(line))
    .filter((line, i, all) => !line.startsWith('*') || /^[:-]/.test(all[i + 1] ?? ''))
    .join('\n');
}
