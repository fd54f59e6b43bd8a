/** `make profile`: where a node proxy under load spends its time and memory, as text in docs/profiles/. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setLogLevels } from '../../../../src/telemetry/log.ts';
import { until } from '../../../support/sandbox-commands.ts';
import { BenchSandbox } from '../bench-sandbox.ts';
import type { LoadOrder, TimedOrder } from '../load/load-protocol.ts';
import { machineFacts } from '../machine-facts.ts';
import { ambitPeer } from '../peers/plain-peers.ts';
import { memoryMap } from './memory-map.ts';
import { cpuText, heapText } from './profile-text.ts';
import { PROFILE_FILE, PROFILE_MS } from './profiler-hook.ts';
import type { ThreadProfile } from './thread-profile.ts';

const HOOK = join(import.meta.dirname, 'profiler-hook.ts');
const FOLDER = join(import.meta.dirname, '../../../../docs/profiles');
const WARMUP_MS = 1000;
/** Longer than the profile, which begins with the load. */
const LOAD_MS = PROFILE_MS + 2000;

interface Loading {
  readonly name: string;
  readonly what: string;
  readonly order: (timed: TimedOrder) => LoadOrder;
}

const LOADS: readonly Loading[] = [
  {
    name: 'bulk-up',
    what: 'eight streams up',
    order: (timed) => ({ kind: 'bulk', direction: 'up', connections: 8, ...timed }),
  },
  {
    name: 'bulk-down',
    what: 'eight streams down',
    order: (timed) => ({ kind: 'bulk', direction: 'down', connections: 8, ...timed }),
  },
  {
    name: 'requests',
    what: '32 keep-alive clients',
    order: (timed) => ({ kind: 'requests', connections: 32, ...timed }),
  },
  {
    name: 'newconn',
    what: 'a new connection for each request of 32 clients',
    order: (timed) => ({ kind: 'fresh', connections: 32, ...timed }),
  },
];

/** Both proxies at once. */
async function profileBoth(sandbox: BenchSandbox): Promise<readonly (readonly ThreadProfile[])[]> {
  const { nodes } = await sandbox.session.facts();
  const proxies = nodes.map(({ ztunnel }) => ({
    pid: ztunnel!.pid!,
    file: join(ztunnel!.workingDirectory, PROFILE_FILE),
  }));
  for (const { pid, file } of proxies) {
    rmSync(file, { force: true });
    process.kill(pid, 'SIGUSR2');
  }
  return Promise.all(proxies.map(({ file }) => until('a profile', async () => readProfile(file))));
}

/** Undefined while it is not there as a whole. */
function readProfile(file: string): readonly ThreadProfile[] | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as readonly ThreadProfile[];
  } catch {
    return undefined;
  }
}

setLogLevels('error');
mkdirSync(FOLDER, { recursive: true });
await using sandbox = await BenchSandbox.start(['ambit'], { NODE_OPTIONS: `--import=${HOOK}` });
const { client, target, pids } = await ambitPeer(sandbox);
const { machine, date, commit } = machineFacts();
for (const { name, what, order } of LOADS) {
  const done = client.run(order({ target, pids, warmupMs: WARMUP_MS, durationMs: LOAD_MS }));
  const sides = await profileBoth(sandbox);
  for (const [i, side] of ['outbound', 'inbound'].entries()) {
    const where = `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, ${date}, commit ${commit}`;
    const title = `The proxy of the ${side} side with ${what}. ${where}`;
    writeFileSync(join(FOLDER, `cpu-${name}-${side}.txt`), cpuText(title, sides[i]!));
    const map = memoryMap(pids[i]!);
    if (name === 'requests') writeFileSync(join(FOLDER, `heap-${side}.txt`), heapText(title, sides[i]!, map));
  }
  await done;
}
