/** Runs inside a pod: a new connection at every interval, and a line for each that tells when it was and how it went. */

import { connect } from 'node:net';

/** One call; times are milliseconds since 1970. */
export interface CallLine {
  readonly startMs: number;
  readonly endMs: number;
  /** Why it failed; undefined when the bytes came back. */
  readonly error?: string;
}

/** To be looked for in captured packets. */
export const CALL_MESSAGE = 'plain words that nobody on the wire may read';
/** Long enough for a slow machine, short enough that a lost call does not hide the next ones. */
const TIMEOUT_MS = 5000;

function call(host: string, port: number): void {
  const startMs = Date.now();
  const socket = connect({ host, port, timeout: TIMEOUT_MS });
  let answer = '';
  const finish = (error?: string) => {
    socket.removeAllListeners().on('error', () => {});
    socket.destroy();
    const line: CallLine = { startMs, endMs: Date.now(), ...(error !== undefined && { error }) };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
  socket.on('connect', () => socket.write(CALL_MESSAGE));
  socket.on('data', (data) => {
    answer += data;
    if (answer.length >= CALL_MESSAGE.length) finish(answer === CALL_MESSAGE ? undefined : 'wrong bytes');
  });
  socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  socket.on('timeout', () => finish('timeout'));
  socket.on('close', () => finish('closed'));
}

if (process.argv[1] === import.meta.filename) {
  const [host, port, intervalMs] = process.argv.slice(2) as [string, string, string];
  setInterval(() => call(host, Number(port)), Number(intervalMs));
  // Whoever started it has gone.
  process.stdin.on('end', () => process.exit(0)).resume();
}
