/** Opens connections as fast as it can to a server that ends each at once, and tells of those that did not go that way. */

import { connect } from 'node:net';

/** More than a handshake takes whose first packet was lost, and its second too (RFC 6298 §2). */
const TIMEOUT_MS = 10_000;
const AT_A_TIME = 16;

/** Written when the process has been told to end. */
export interface KnockReport {
  readonly calls: number;
  /** What each of those that failed met with. */
  readonly failures: readonly string[];
}

const port = Number(process.argv[2]);
const failures: string[] = [];
let calls = 0;
let isOver = false;

function knock(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('not ended')));
    socket.on('error', (thrown: NodeJS.ErrnoException) => failures.push(thrown.code ?? thrown.message));
    socket.on('close', () => resolve()).resume();
  });
}

async function knockForever(): Promise<void> {
  for (; !isOver; calls++) await knock();
}

process.once('SIGTERM', () => {
  isOver = true;
});
await Promise.all(Array.from({ length: AT_A_TIME }, knockForever));
const report: KnockReport = { calls, failures };
process.stdout.write(JSON.stringify(report));
