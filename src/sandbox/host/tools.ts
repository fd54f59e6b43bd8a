/** Programs of the host that the sandbox calls, and which package brings each of them. */

import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { sandboxErrors } from '../errors.ts';

/** Debian's package of each program; most distributions use the same names. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  ip: 'iproute2',
  'iptables-restore': 'iptables',
  'ip6tables-restore': 'iptables',
  sh: 'dash',
  sleep: 'coreutils',
  env: 'coreutils',
  tcpdump: 'tcpdump',
  curl: 'curl',
  dig: 'dnsutils',
  ping: 'iputils-ping',
  ss: 'iproute2',
  ipset: 'ipset',
  conntrack: 'conntrack',
};

/** What every sandbox needs. */
const REQUIRED = ['unshare', 'nsenter', 'mount', 'ip', 'iptables-restore', 'sh', 'sleep', 'env'] as const;

/** Ordinary users often lack these in their PATH, where ip and iptables live. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The given PATH, with the folders of system programs behind it. */
export function systemPath(path = process.env.PATH ?? ''): string {
  return [...new Set([...path.split(':').filter((folder) => folder !== ''), ...SYSTEM_FOLDERS])].join(':');
}

/** The absolute path of a program, or undefined when there is none in the given PATH. */
export function findProgram(name: string, path = systemPath()): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined;
  const folder = path.split(':').find((one) => isAbsolute(one) && isExecutable(join(one, name)));
  return folder === undefined ? undefined : join(folder, name);
}

/** `ip (package iproute2)`. */
export function describeProgram(name: string): string {
  const owner = PACKAGE_OF[name];
  return owner === undefined ? name : `${name} (package ${owner})`;
}

/** @throws AMBIT_SANDBOX_TOOL_MISSING naming every program that is missing, and its package */
export function requireTools(ipv6: boolean): void {
  const wanted = ipv6 ? [...REQUIRED, 'ip6tables-restore'] : REQUIRED;
  const missing = wanted.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return;
  throw sandboxErrors.AMBIT_SANDBOX_TOOL_MISSING(
    `not installed on this machine: ${missing.map(describeProgram).join(', ')}`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
