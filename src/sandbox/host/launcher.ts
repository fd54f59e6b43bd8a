/** Starts the daemon of a sandbox in namespaces of its own, and ends it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SandboxClient } from '../client/sandbox-client.ts';
import { type SandboxConfig, StatePaths } from '../daemon/sandbox-config.ts';
import { sandboxErrors } from '../errors.ts';
import { chooseIsolation } from './isolation.ts';
import { isAlive, type Owner, readOwner, removeState, untilEnded, writeOwner } from './state-directory.ts';
import { findProgram, systemPath } from './tools.ts';

const DAEMON = fileURLToPath(new URL('../daemon/main.ts', import.meta.url));

/**
 * The first process of the sandbox: takes in orphans, and ends with the daemon, which ends everything. /proc is made
 * anew where that is allowed. The shell would give a command in the background no input: it is carried past it.
 */
const FIRST_PROCESS = `
mount -t proc proc /proc 2>/dev/null
exec 3<&0
"$@" <&3 3<&- &
exec 3<&-
wait $!
`;

/** Network, objects and DNS of many nodes stand long before. */
const START_TIMEOUT_MS = 60_000;
/** An orderly end takes a tenth of it. */
const END_TIMEOUT_MS = 10_000;
/** How much of its log tells why a daemon did not start. */
const TOLD_LINES = 15;

/**
 * Resolves when the daemon takes calls. The state directory must have been claimed.
 * @throws AMBIT_SANDBOX_NAMESPACES_FORBIDDEN, AMBIT_SANDBOX_START_FAILED
 */
export async function launchSandbox(config: SandboxConfig): Promise<SandboxClient> {
  const paths = new StatePaths(config.state);
  const isolation = chooseIsolation();
  mkdirSync(paths.logs, { recursive: true });
  writeFileSync(paths.configFile, JSON.stringify(config));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', DAEMON, config.state];
  const first = ['sh', '-c', FIRST_PROCESS, 'ambit-sandbox', ...node];
  const child = spawnDetached([findProgram('unshare')!, ...isolation, ...first], config, paths);
  writeOwner(config.state, child.pid!);
  const client = new SandboxClient(paths.socket);
  await untilUp(client, child, paths);
  return client;
}

/** Away from the terminal, whose Ctrl-C must reach only the command. */
function spawnDetached(command: readonly string[], config: SandboxConfig, paths: StatePaths): ChildProcess {
  const output = openSync(paths.daemonLog, 'a');
  const child = spawn(command[0]!, command.slice(1), {
    detached: true,
    cwd: '/',
    env: {
      // A process of the mesh that is started again has its program compiled already, and takes over in half the time.
      NODE_COMPILE_CACHE: join(paths.state, 'compile-cache'),
      ...process.env,
      PATH: systemPath(),
      XTABLES_LOCKFILE: join(paths.state, 'xtables.lock'),
    },
    stdio: [config.endWithInput ? 'pipe' : 'ignore', output, output],
  });
  closeSync(output);
  return child;
}

async function untilUp(client: SandboxClient, child: ChildProcess, paths: StatePaths): Promise<void> {
  const endMs = performance.now() + START_TIMEOUT_MS;
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  while (!(await client.answers())) {
    if (ended || performance.now() > endMs) {
      const reason = ended ? 'ended while it was starting' : 'does not answer';
      throw sandboxErrors.AMBIT_SANDBOX_START_FAILED(`the daemon ${reason}:\n${endOf(paths.daemonLog)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.unref();
}

/**
 * Ends a sandbox, whatever state it is in, and removes what it leaves.
 * @returns false when there was none
 */
export async function endSandbox(state: string): Promise<boolean> {
  const owner = readOwner(state);
  if (owner !== undefined && isAlive(owner)) await endOwner(owner, new StatePaths(state));
  removeState(state);
  return owner !== undefined;
}

async function endOwner(owner: Owner, paths: StatePaths): Promise<void> {
  const asked = new SandboxClient(paths.socket).call('down', {}).catch(() => {});
  await Promise.race([asked, untilEnded(owner, END_TIMEOUT_MS)]);
  if (await untilEnded(owner, END_TIMEOUT_MS)) return;
  process.kill(owner.pid, 'SIGKILL');
  await untilEnded(owner, END_TIMEOUT_MS);
}

function endOf(path: string): string {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.slice(-TOLD_LINES).join('\n');
}
