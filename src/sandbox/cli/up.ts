/** `ambit sandbox up`: a cluster out of namespaces, and word of it until every pod is ready. */

import { existsSync } from 'node:fs';
import { readManifests } from '../api/manifest-file.ts';
import type { SandboxClient } from '../client/sandbox-client.ts';
import type { ReadinessEntry } from '../daemon/readiness.ts';
import type { MeshConfig, SandboxConfig } from '../daemon/sandbox-config.ts';
import { sandboxErrors } from '../errors.ts';
import { hasIpv6 } from '../host/isolation.ts';
import { endSandbox, launchSandbox } from '../host/launcher.ts';
import {
  claimState,
  isAlive,
  readOwner,
  removeState,
  stateDirectory,
  untilEnded,
} from '../host/state-directory.ts';
import { requireTools } from '../host/tools.ts';
import { familiesOf, type IpFamilies } from '../network/address-plan.ts';
import { applyManifests } from './object-commands.ts';
import { note } from './terminal.ts';

export interface UpOptions {
  readonly name: string;
  readonly filename: readonly string[];
  readonly namespace: string;
  readonly nodes: number;
  readonly ipFamilies?: IpFamilies;
  readonly detach?: boolean;
  readonly timeoutSeconds: number;
  /** False leaves out every process of the mesh. */
  readonly mesh: boolean;
  /** `node2=COMMAND`. */
  readonly ztunnel: readonly string[];
  /** `NAME=VALUE`. */
  readonly meshEnv: readonly string[];
  readonly xds?: string;
  readonly caRoot?: string;
}

const POLL_MS = 50;
/** What is still waited for is said again after this long. */
const REMIND_MS = 5000;
const NAMES_IN_REMINDER = 5;

export async function up(options: UpOptions): Promise<void> {
  const ipFamilies = options.ipFamilies ?? (hasIpv6() ? 'dual' : 'ipv4');
  if (ipFamilies !== 'ipv4' && !hasIpv6()) throw usage('IPv6 is off on this machine: use --ip-families ipv4');
  requireTools(familiesOf(ipFamilies).includes(6));
  const mesh = meshConfig(options);
  const { manifests, warnings } = readManifests(options.filename);
  for (const warning of warnings) note(`warning: ${warning}`);
  const state = stateDirectory(options.name);
  const { name, nodes } = options;
  await claimState(state);
  const config: SandboxConfig = {
    name,
    state,
    nodes,
    ipFamilies,
    mesh,
    endWithInput: options.detach !== true,
  };
  const client = await launch(config);
  note(
    `sandbox ${name}: ${nodes} nodes, ${ipFamilies === 'dual' ? 'IPv4 and IPv6' : ipFamilies}, state in ${state}`,
  );
  try {
    await applyManifests(client, manifests, options.namespace, note);
  } catch (thrown) {
    await endSandbox(state);
    throw thrown;
  }
  if (options.detach) await untilReady(client, options.timeoutSeconds * 1000);
  else await stayInForeground(client, state, options);
}

async function launch(config: SandboxConfig): Promise<SandboxClient> {
  try {
    return await launchSandbox(config);
  } catch (thrown) {
    const owner = readOwner(config.state);
    if (owner !== undefined && owner.pid !== process.pid && isAlive(owner)) await endSandbox(config.state);
    else removeState(config.state);
    throw thrown;
  }
}

/** Until Ctrl-C, or until somebody else ends the sandbox. */
async function stayInForeground(client: SandboxClient, state: string, options: UpOptions): Promise<void> {
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => resolve('interrupted'));
  });
  const owner = readOwner(state)!;
  const ended = untilEnded(owner, Number.POSITIVE_INFINITY).then(() => 'ended' as const);
  const ready = untilReady(client, options.timeoutSeconds * 1000).then(
    () => note('press Ctrl-C to end the sandbox'),
    (thrown: Error) => note(thrown.message),
  );
  const outcome = await Promise.race([
    interrupted,
    ended,
    ready.then(() => Promise.race([interrupted, ended])),
  ]);
  if (outcome === 'interrupted') note(`ending sandbox ${options.name}`);
  await endSandbox(state);
  // Timers of the polling are still set.
  process.exit(0);
}

/**
 * Tells of every pod as it becomes ready.
 * @throws AMBIT_SANDBOX_NOT_READY naming each pod that is not ready, and why
 */
async function untilReady(client: SandboxClient, timeoutMs: number): Promise<void> {
  const startMs = performance.now();
  const told = new Set<string>();
  let remindMs = startMs + REMIND_MS;
  for (;;) {
    const entries = await client.call('readiness', {});
    tellReady(entries, told);
    const waiting = entries.filter((entry) => !entry.ready);
    const elapsedMs = performance.now() - startMs;
    if (waiting.length === 0)
      return note(`${entries.length} pods ready after ${(elapsedMs / 1000).toFixed(1)} s`);
    const hopeless = waiting.every((entry) => entry.hopeless);
    if (hopeless || elapsedMs > timeoutMs) throw notReady(waiting, hopeless ? undefined : timeoutMs);
    if (performance.now() > remindMs) {
      remindMs += REMIND_MS;
      for (const { name, reason } of waiting.slice(0, NAMES_IN_REMINDER))
        note(`waiting for ${name}: ${reason}`);
      const more = waiting.length - NAMES_IN_REMINDER;
      if (more > 0) note(`waiting for ${more} more`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function tellReady(entries: readonly ReadinessEntry[], told: Set<string>): void {
  for (const { name, node, ready } of entries) {
    if (!ready || told.has(name)) continue;
    told.add(name);
    note(`pod ${name} ready on ${node}`);
  }
}

function notReady(waiting: readonly ReadinessEntry[], timeoutMs: number | undefined) {
  const after = timeoutMs === undefined ? '' : ` after ${timeoutMs / 1000} s`;
  const lines = waiting.map(({ name, reason }) => `  ${name}: ${reason}`);
  return sandboxErrors.AMBIT_SANDBOX_NOT_READY(`not ready${after}:\n${lines.join('\n')}`);
}

function meshConfig({ mesh, ztunnel, meshEnv, xds, caRoot, nodes }: UpOptions): MeshConfig | undefined {
  if (!mesh) return undefined;
  const ztunnels = ztunnel.map((text) => {
    const cut = text.indexOf('=');
    const node = text.slice(0, cut);
    if (cut < 1 || !/^node[1-9]\d*$/.test(node) || Number(node.slice(4)) > nodes) {
      throw usage(`--ztunnel ${text}: write node1=COMMAND, with one of the ${nodes} nodes`);
    }
    return [node, text.slice(cut + 1)] as const;
  });
  if (caRoot !== undefined && !existsSync(caRoot)) throw usage(`--ca-root ${caRoot}: there is no such file`);
  if ((xds === undefined) !== (caRoot === undefined)) throw usage('--xds and --ca-root go together');
  const external =
    xds === undefined || caRoot === undefined ? undefined : { xdsAddress: xds, rootFile: caRoot };
  return { ztunnels: Object.fromEntries(ztunnels), env: environmentOf(meshEnv), external };
}

function environmentOf(assignments: readonly string[]): Readonly<Record<string, string>> {
  const entries = assignments.map((text) => {
    const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
    if (name === undefined) throw usage(`--mesh-env ${text}: write NAME=VALUE`);
    return [name, value!] as const;
  });
  return Object.fromEntries(entries);
}

function usage(message: string) {
  return sandboxErrors.AMBIT_SANDBOX_USAGE(message);
}
