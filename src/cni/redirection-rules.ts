/** The rules that capture a pod's traffic: pure text from options, in the tables, chains and order of Istio's. */

import { type Cidr, familyOf, type IpFamily, ipFromBytes } from '../base/ip.ts';
import {
  DNS_CAPTURE_PORT,
  DNS_CONNTRACK_ZONE,
  HBONE_PORT,
  INBOUND_PLAINTEXT_PORT,
  OUTBOUND_PORT,
  OUTPUT_CHAIN,
  PREROUTING_CHAIN,
  PROBE_SOURCE_V4,
  PROBE_SOURCE_V6,
  PROXY_MARK,
  RETURN_MARK,
} from './redirection-constants.ts';
import type { Chain, RuleSet } from './rule-set.ts';

/** What may differ from pod to pod. */
export interface RedirectionOptions {
  readonly dnsCapture: boolean;
  /** False for ingress gateways: only what the pod opens itself is captured. */
  readonly inboundCapture: boolean;
  /** TCP that enters through these interfaces (an inner bridge of virtual machines) counts as outbound. */
  readonly virtualInterfaces: readonly string[];
  readonly excludedOutboundPorts: readonly number[];
  readonly excludedInboundPorts: readonly number[];
  readonly excludedOutboundRanges: readonly Cidr[];
}

/** A pod that has no wishes of its own. */
export const ORDINARY: RedirectionOptions = {
  dnsCapture: true,
  inboundCapture: true,
  virtualInterfaces: [],
  excludedOutboundPorts: [],
  excludedInboundPorts: [],
  excludedOutboundRanges: [],
};
const REDIRECTS = /-j REDIRECT\b/;

interface FamilyFacts {
  readonly options: RedirectionOptions;
  readonly loopback: string;
  readonly probeSource: string;
  readonly excludedRanges: readonly string[];
}

const NOT_FROM_PROXY = `-m mark ! --mark ${PROXY_MARK}`;
/**
 * `--syn`, in the words of iptables-save: only the first packet of a connection is redirected. Packets of connections
 * that were open when the pod was enrolled look new to connection tracking; redirected, they would be reset.
 */
const FIRST_PACKET = '--tcp-flags FIN,SYN,RST,ACK SYN';

/** The chains of one address family. */
export function redirectionRules(options: RedirectionOptions, family: IpFamily): RuleSet {
  const facts: FamilyFacts = {
    options,
    loopback: family === 4 ? '127.0.0.1/32' : '::1/128',
    probeSource: family === 4 ? PROBE_SOURCE_V4 : PROBE_SOURCE_V6,
    excludedRanges: options.excludedOutboundRanges
      .filter((range) => familyOf(ipFromBytes(range.bytes)!) === family)
      .map((range) => range.toString()),
  };
  return {
    raw: options.dnsCapture
      ? [chain(PREROUTING_CHAIN, rawPrerouting(facts)), chain(OUTPUT_CHAIN, rawOutput())]
      : [],
    mangle: [chain(PREROUTING_CHAIN, manglePrerouting()), chain(OUTPUT_CHAIN, mangleOutput())],
    nat: [chain(PREROUTING_CHAIN, natPrerouting(facts)), chain(OUTPUT_CHAIN, natOutput(facts))],
  };
}

/**
 * The rules of a pod that is leaving: nothing is redirected any more, and what carries its open connections stays.
 * Without it the kernel would stop translating their packets: ztunnel could not even tell the application that they are
 * closed, and what the application still sends would leave the pod in plain text.
 */
export function leavingRules(family: IpFamily): RuleSet {
  const { raw, mangle, nat } = redirectionRules(ORDINARY, family);
  const quiet = nat.map((one) => ({ ...one, rules: one.rules.filter((rule) => !REDIRECTS.test(rule)) }));
  return { raw, mangle, nat: quiet };
}

function chain(name: string, rules: readonly string[]): Chain {
  return { name, rules, hook: name === PREROUTING_CHAIN ? 'PREROUTING' : 'OUTPUT', first: false };
}

/** Answers to ztunnel's own queries; those of excluded resolvers stay in the zone their queries left in. */
function rawPrerouting(facts: FamilyFacts): string[] {
  return [
    ...facts.excludedRanges.map((range) => `-s ${range} -p udp -m udp --sport 53 -j RETURN`),
    `-p udp -m udp --sport 53 ${NOT_FROM_PROXY} -j CT --zone ${DNS_CONNTRACK_ZONE}`,
  ];
}

function rawOutput(): string[] {
  return [`-p udp -m mark --mark ${PROXY_MARK} -m udp --dport 53 -j CT --zone ${DNS_CONNTRACK_ZONE}`];
}

/** Remembers connections that ztunnel opened under its peer's address. */
function manglePrerouting(): string[] {
  return [`-m mark --mark ${PROXY_MARK} -j CONNMARK --set-xmark ${RETURN_MARK}`];
}

/** Marks the application's replies on those connections, so that policy routing brings them back. */
function mangleOutput(): string[] {
  return [
    `-m connmark --mark ${RETURN_MARK} -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff`,
  ];
}

function natPrerouting(facts: FamilyFacts): string[] {
  const { options, loopback, probeSource } = facts;
  const virtual = options.virtualInterfaces.flatMap((name) => [
    `-i ${name} -p tcp -m tcp ${FIRST_PACKET} -j REDIRECT --to-ports ${OUTBOUND_PORT}`,
    `-i ${name} -p tcp -j RETURN`,
  ]);
  if (!options.inboundCapture) return virtual;
  return [
    ...virtual,
    `-s ${probeSource} -p tcp -j ACCEPT`,
    ...options.excludedInboundPorts.map((port) => `-p tcp -m tcp --dport ${port} -j RETURN`),
    `! -d ${loopback} -p tcp -m tcp ! --dport ${HBONE_PORT} ${FIRST_PACKET} ${NOT_FROM_PROXY} -j REDIRECT --to-ports ${INBOUND_PLAINTEXT_PORT}`,
  ];
}

function natOutput(facts: FamilyFacts): string[] {
  const { options, loopback, probeSource } = facts;
  return [
    `-d ${probeSource} -p tcp -j ACCEPT`,
    ...facts.excludedRanges.map((range) => `-d ${range} -j RETURN`),
    ...options.excludedOutboundPorts.map((port) => `-p tcp -m tcp --dport ${port} -j RETURN`),
    ...(options.dnsCapture ? dnsCapture(loopback) : []),
    `-p tcp -m mark --mark ${RETURN_MARK} -j ACCEPT`,
    `! -d ${loopback} -o lo -j ACCEPT`,
    `! -d ${loopback} -p tcp -m tcp ${FIRST_PACKET} ${NOT_FROM_PROXY} -j REDIRECT --to-ports ${OUTBOUND_PORT}`,
  ];
}

function dnsCapture(loopback: string): string[] {
  return [
    `! -o lo -p udp -m udp --dport 53 ${NOT_FROM_PROXY} -j REDIRECT --to-ports ${DNS_CAPTURE_PORT}`,
    `! -d ${loopback} -p tcp -m tcp --dport 53 ${NOT_FROM_PROXY} -j REDIRECT --to-ports ${DNS_CAPTURE_PORT}`,
  ];
}
