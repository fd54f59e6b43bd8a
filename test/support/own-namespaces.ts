/** Runs the tests of a file inside fresh user, network and mount namespaces, where they may do as root does. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const INSIDE = 'AMBIT_TEST_OWN_NAMESPACES';
/** An ordinary user: `nobody` on every distribution that matters. */
const ORDINARY_USER = '65534';
const DEADLINE_MS = 600_000;

/** /run is writable for iptables' lock and `ip netns`, and nothing in it is the machine's. */
const SCRIPT = `
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns /run/test
ip link set lo up
exec "$@"
`;

export interface NamespaceOptions {
  /**
   * `one` for files whose tests take long and do not depend on who one is: an ordinary user alone. `self` for those
   * that call programs of the user's own cache: whoever runs the tests.
   */
  readonly users: 'all' | 'one' | 'self';
}

/**
 * Call once per test file. Outside, it becomes one test that runs the whole file again inside; there, it defines the
 * tests. As root both root's and an ordinary user's capabilities are tried.
 */
export function inOwnNamespaces(
  file: string,
  define: () => void,
  options: NamespaceOptions = { users: 'all' },
): void {
  if (process.env[INSIDE] !== undefined) {
    define();
    return;
  }
  const isRoot = process.getuid?.() === 0;
  if (isRoot && options.users !== 'one') test('as root', () => runInside(file, ['unshare', '-nm']));
  if (isRoot && options.users === 'self') return;
  const become = isRoot
    ? ['setpriv', `--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, '--clear-groups']
    : [];
  test('as an ordinary user', () => runInside(file, [...become, 'unshare', '-Urnm']));
}

/** The same for a program that is no test: runs this file again inside, and returns its exit code; undefined inside. */
export function runInOwnNamespaces(file: string, args: readonly string[]): number | undefined {
  if (process.env[INSIDE] !== undefined) return undefined;
  const unshare = ['unshare', process.getuid?.() === 0 ? '-nm' : '-Urnm'];
  const [program, ...rest] = insideCommand(unshare, [file, ...args]);
  return spawnSync(program!, rest, { env: insideEnvironment(), stdio: 'inherit' }).status ?? 1;
}

function insideCommand(command: readonly string[], nodeArguments: readonly string[]): readonly string[] {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', ...nodeArguments];
  return [...command, '/bin/sh', '-c', SCRIPT, 'sh', ...node];
}

function insideEnvironment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return { ...env, [INSIDE]: '1', HOME: '/run/test', TMPDIR: '/run/test' };
}

function runInside(file: string, command: readonly string[]): void {
  const [program, ...args] = insideCommand(command, ['--test', file]);
  const result = spawnSync(program!, args, {
    env: insideEnvironment(),
    encoding: 'utf8',
    timeout: DEADLINE_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  assert.equal(result.status, 0, `${result.error ?? ''}${result.stdout}${result.stderr}`);
}
