/** Which namespaces this user may make on this machine, and the setting to change when it is none. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { sandboxErrors } from '../errors.ts';
import { findProgram, systemPath } from './tools.ts';

/** The arguments of `unshare` that give a sandbox its namespaces. */
export type Isolation = readonly string[];

/** `--kill-child`: the sandbox does not outlive the process that stands for it outside. */
const COMMON: Isolation = ['--net', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child'];
const WITH_USER: Isolation = ['--user', '--map-root-user', ...COMMON];

/** Settings that forbid, with the value that does. */
const FORBIDDING: readonly { readonly sysctl: string; readonly value: string; readonly fix: string }[] = [
  { sysctl: 'user.max_user_namespaces', value: '0', fix: '15000' },
  { sysctl: 'kernel.unprivileged_userns_clone', value: '0', fix: '1' },
  { sysctl: 'kernel.apparmor_restrict_unprivileged_userns', value: '1', fix: '0' },
  { sysctl: 'user.max_net_namespaces', value: '0', fix: '15000' },
  { sysctl: 'user.max_pid_namespaces', value: '0', fix: '15000' },
  { sysctl: 'user.max_mnt_namespaces', value: '0', fix: '15000' },
];

/**
 * Tries it out: root needs no user namespace, unless it is a root without rights (in a container).
 * @throws AMBIT_SANDBOX_NAMESPACES_FORBIDDEN
 */
export function chooseIsolation(): Isolation {
  const candidates = process.getuid?.() === 0 ? [COMMON, WITH_USER] : [WITH_USER];
  const reasons: string[] = [];
  for (const isolation of candidates) {
    const reason = tryIsolation(isolation);
    if (reason === undefined) return isolation;
    reasons.push(reason);
  }
  const settings = FORBIDDING.filter(({ sysctl, value }) => readSysctl(sysctl) === value);
  const advice = settings.map(
    ({ sysctl, value, fix }) => `${sysctl} is ${value}: sysctl -w ${sysctl}=${fix}`,
  );
  throw sandboxErrors.AMBIT_SANDBOX_NAMESPACES_FORBIDDEN(
    ['this machine does not let you make namespaces', ...new Set(reasons), ...advice].join('; '),
  );
}

export function hasIpv6(): boolean {
  return existsSync('/proc/sys/net/ipv6');
}

/** A user namespace may be granted and yet be without rights: so something is done in it. */
function tryIsolation(isolation: Isolation): string | undefined {
  const script = ['sh', '-c', 'ip link set lo up && mount -t tmpfs ambit /tmp'];
  const env = { PATH: systemPath() };
  const unshare = findProgram('unshare') ?? 'unshare';
  const { status, stderr, error } = spawnSync(unshare, [...isolation, ...script], { env, encoding: 'utf8' });
  if (status === 0) return undefined;
  return error?.message ?? (stderr.trim().split('\n')[0] || `unshare ended with exit code ${status}`);
}

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
