/** A node proxy that knows a mesh of a given size and has no pod: what its memory is without connections. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventuallyAnswers } from '../../../support/eventually.ts';
import { freePort } from '../../../support/free-port.ts';
import { makeAuthority } from '../../../unit/xds/certificates.ts';
import { memoryOf, type ProcessMemory } from '../process-memory.ts';
import type { MeshSourcePlan } from './mesh-source-main.ts';
import type { MeshSize } from './synthetic-mesh.ts';

const SOURCE = join(import.meta.dirname, 'mesh-source-main.ts');
const ROOT_FILE = 'var/run/secrets/istio/root-cert.pem';
const TOKEN_FILE = 'var/run/secrets/tokens/istio-token';
const START_DEADLINE_MS = 60_000;
/** What the arrival of the mesh has left over is collected within it. */
const SETTLE_MS = 5000;

/** Starts one of this program, lets it settle, reads its memory, and ends it. */
export async function memoryWithMesh(program: readonly string[], size: MeshSize): Promise<ProcessMemory> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'ambit-bench-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const port = await startSource(folder, size, stack);
  const readiness = await freePort();
  const env = {
    ...process.env,
    XDS_ADDRESS: `https://localhost:${port}`,
    INPOD_UDS: join(folder, 'zds.sock'),
    ADMIN_PORT: String(await freePort()),
    STATS_PORT: String(await freePort()),
    READINESS_PORT: String(readiness),
    ZTUNNEL_WORKER_THREADS: '1',
    RUST_LOG: 'warn',
  };
  const [file, ...words] = program;
  const proxy = spawn(file!, [...words, 'ztunnel'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  stack.defer(() => ended(proxy));
  const isReady = async () => (await fetch(`http://127.0.0.1:${readiness}/healthz/ready`)).ok;
  await eventuallyAnswers('a node proxy that is ready', isReady, START_DEADLINE_MS);
  await delay(SETTLE_MS);
  return memoryOf(proxy.pid!);
}

/** The port of the control plane. */
async function startSource(folder: string, size: MeshSize, stack: AsyncDisposableStack): Promise<number> {
  const authority = makeAuthority();
  write(join(folder, ROOT_FILE), authority.rootPem);
  write(join(folder, TOKEN_FILE), 'token');
  const credentials = authority.issue(['DNS:localhost']);
  const plan: MeshSourcePlan = { size, credentials, zdsSocket: join(folder, 'zds.sock') };
  const args = ['--disable-warning=ExperimentalWarning', SOURCE, JSON.stringify(plan)];
  const source = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  stack.defer(() => ended(source));
  const [line] = (await once(source.stdout, 'data')) as [Buffer];
  return Number(line.toString());
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
