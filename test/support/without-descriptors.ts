/** A process that has no free descriptor for a while. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Whoever has none cannot start a program that gives them back, so this one is there before. */
const SCRIPT = 'prlimit --pid $0 --nofile=1: && echo && read _; prlimit --pid $0 --nofile=$(ulimit -Hn):';

/** Nobody else can do anything meanwhile. */
const DEADLINE_MS = 10_000;

/** Runs the action while this process can open nothing; what is open stays so. Rejects when it takes too long. */
export async function withoutDescriptors<T>(action: () => Promise<T>): Promise<T> {
  const limiter = spawn('sh', ['-c', SCRIPT, String(process.pid)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = once(limiter, 'exit');
  await Promise.race([once(limiter.stdout, 'data'), gone]);
  try {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const deadline = setTimeout(() => reject(new Error(`not within ${DEADLINE_MS} ms`)), DEADLINE_MS);
    return await Promise.race([action(), late]).finally(() => clearTimeout(deadline));
  } finally {
    limiter.stdin.end('\n');
    await gone;
  }
}
