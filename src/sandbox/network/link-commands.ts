/** The lines for `ip -batch` that lay the cables of a sandbox. */

import type { IpAddress, IpFamily } from '../../base/ip.ts';
import { familyOf } from '../../base/ip.ts';
import { lanGateway, nodeAddress, podCidr, podGateway } from './address-plan.ts';

/** The bridge in the sandbox's own namespace, with the way back to the pods of every node. */
export function bridgeCommands(nodes: number, families: readonly IpFamily[]): readonly string[] {
  return [
    'link set lo up',
    // Multicast snooping would keep neighbour discovery from nodes that the bridge has not yet heard.
    'link add br0 type bridge mcast_snooping 0',
    ...families.map((family) => `addr add ${lanGateway(family)}/${lanBits(family)} dev br0${noDad(family)}`),
    'link set br0 up',
    // Whatever is not in the sandbox is refused at once instead of timing out.
    ...families.map((family) => `route add unreachable ${family === 4 ? '0.0.0.0/0' : '::/0'}`),
    ...families.flatMap((family) => allIndexes(nodes).map((index) => podRoute(index, family))),
  ];
}

/** A node's cable to the bridge; run in the sandbox's own namespace. */
export function nodeCableCommands(node: string, pid: number): readonly string[] {
  return [`link add ${node} type veth peer name eth0 netns ${pid}`, `link set ${node} master br0 up`];
}

/** Inside a node: its address, and the way to the pods of every other node. */
export function nodeRouteCommands(
  index: number,
  nodes: number,
  families: readonly IpFamily[],
): readonly string[] {
  const others = allIndexes(nodes).filter((other) => other !== index);
  return [
    'link set lo up',
    ...families.map(
      (family) => `addr add ${nodeAddress(index, family)}/${lanBits(family)} dev eth0${noDad(family)}`,
    ),
    'link set eth0 up',
    ...families.map((family) => `route add default via ${lanGateway(family)}`),
    ...families.flatMap((family) => others.map((other) => podRoute(other, family))),
  ];
}

function allIndexes(nodes: number): readonly number[] {
  return Array.from({ length: nodes }, (_, i) => i + 1);
}

/** To the pods of a node, for everybody on the bridge. */
function podRoute(index: number, family: IpFamily): string {
  return `route add ${podCidr(index, family)} via ${nodeAddress(index, family)}`;
}

/** A pod's cable to its node; run in the node's namespace. */
export function podCableCommands(pod: PodCable): readonly string[] {
  return [
    `link add ${pod.link} type veth peer name eth0 netns ${pod.pid}`,
    ...pod.ips.map(
      (ip) => `addr add ${gatewayOf(pod, ip)}/${bitsOf(ip)} dev ${pod.link}${noDad(familyOf(ip))}`,
    ),
    `link set ${pod.link} up`,
    ...pod.ips.map((ip) => {
      const source = nodeAddress(pod.nodeIndex, familyOf(ip));
      return `route add ${ip}/${bitsOf(ip)} dev ${pod.link} src ${source}`;
    }),
  ];
}

export interface PodCable {
  /** Name of the node's end. */
  readonly link: string;
  /** Of the pod's pause process, as the node sees it. */
  readonly pid: number;
  readonly nodeIndex: number;
  readonly ips: readonly IpAddress[];
}

/** Inside a pod: its addresses, and its node as the only neighbour. */
export function podRouteCommands(pod: PodCable): readonly string[] {
  return [
    'link set lo up',
    ...pod.ips.map((ip) => `addr add ${ip}/${bitsOf(ip)} dev eth0${noDad(familyOf(ip))}`),
    'link set eth0 up',
    ...pod.ips.flatMap((ip) => {
      const gateway = gatewayOf(pod, ip);
      return [`route add ${gateway} dev eth0`, `route add default via ${gateway} dev eth0`];
    }),
  ];
}

function gatewayOf(pod: PodCable, ip: IpAddress): IpAddress {
  return podGateway(pod.nodeIndex, familyOf(ip));
}

function bitsOf(ip: IpAddress): number {
  return familyOf(ip) === 4 ? 32 : 128;
}

function lanBits(family: IpFamily): number {
  return family === 4 ? 24 : 64;
}

/** Duplicate address detection would hold up every address for a second. */
function noDad(family: IpFamily): string {
  return family === 4 ? '' : ' nodad';
}

const QUICK_IPV6 = ['ipv6/conf/default/accept_dad 0', 'ipv6/conf/default/dad_transmits 0'];

/** Refusals are answered every time, not once a second: a test that asks twice gets two answers. */
const PROMPT_REFUSALS = ['ipv4/icmp_ratelimit 0', 'ipv6/icmp/ratelimit 0'];

/** The namespace of the bridge answers for every address that does not exist. */
export function bridgeSysctls(families: readonly IpFamily[]): readonly string[] {
  const forward = families.map((family) => `ipv${family}/conf/all/forwarding 1`);
  return [...forward, ...PROMPT_REFUSALS, ...ipv6Sysctls(families)];
}

/** A node forwards, and takes packets from pods whose way back lies elsewhere. */
export function nodeSysctls(families: readonly IpFamily[]): readonly string[] {
  return [
    'ipv4/ip_forward 1',
    'ipv4/conf/all/rp_filter 0',
    'ipv4/conf/default/rp_filter 0',
    ...PROMPT_REFUSALS,
    ...ipv6Sysctls(families),
    ...(families.includes(6) ? ['ipv6/conf/all/forwarding 1', 'ipv6/conf/default/forwarding 1'] : []),
  ];
}

export function podSysctls(families: readonly IpFamily[]): readonly string[] {
  return ipv6Sysctls(families);
}

function ipv6Sysctls(families: readonly IpFamily[]): readonly string[] {
  if (families.includes(6)) return QUICK_IPV6;
  return ['ipv6/conf/all/disable_ipv6 1', 'ipv6/conf/default/disable_ipv6 1', 'ipv6/conf/lo/disable_ipv6 1'];
}
