/** Runs inside a pod: an echo server, or a well-behaved client that calls it so many times a second. */

import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { percentileOf } from '../bench/percentile.ts';

/** What a client has seen since it was asked last; times in milliseconds. */
export interface PaceReport {
  readonly calls: number;
  readonly p99: number;
  /** Of calls on open connections and of new connections, by what went wrong. */
  readonly failures: readonly string[];
}

/** First byte of a connection that wants bytes without end; any other but the next is echoed. */
export const BULK = 'B';
/** First byte of a connection on which nothing more is to be read. */
export const DEAF = 'D';
/** What the failure of a connection that was to be opened anew begins with. */
export const NEW_CONNECTION = 'new connection: ';
const MESSAGE = Buffer.alloc(64, 'm');
/** Connections that share the calls. */
const CONNECTIONS = 4;
/** Beside the calls a new connection is made this often. */
const NEW_CONNECTION_MS = 250;
/** A call that takes so long has failed. */
const TIMEOUT_MS = 10_000;

function serve(port: number): void {
  const bulk = Buffer.alloc(64 * 1024, BULK);
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (first) => {
      if (String(first).startsWith(BULK)) return pour(socket, bulk);
      if (String(first).startsWith(DEAF)) return socket.pause();
      socket.write(first);
      socket.pipe(socket);
    });
  });
  server.listen(port, () => process.stdout.write('ready\n'));
}

function pour(socket: Socket, bytes: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on('drain', more).resume();
  more();
}

let latencies: number[] = [];
let failures: string[] = [];

/** One connection of the client; answers come in the order of the calls. */
class Line {
  readonly #socket: Socket;
  readonly #started: number[] = [];
  #received = 0;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on('data', (data) => this.#onData(data.length));
    this.#socket.on('error', (error) => failures.push(error.message));
    this.#socket.on('close', () => failures.push('a connection was cut'));
  }

  call(): void {
    const oldest = this.#started[0];
    if (oldest !== undefined && performance.now() - oldest > TIMEOUT_MS) {
      failures.push(`no answer within ${TIMEOUT_MS} ms`);
      this.#started.length = 0;
    }
    this.#started.push(performance.now());
    this.#socket.write(MESSAGE);
  }

  #onData(bytes: number): void {
    this.#received += bytes;
    for (; this.#received >= MESSAGE.length; this.#received -= MESSAGE.length) {
      const started = this.#started.shift();
      if (started !== undefined) latencies.push(performance.now() - started);
    }
  }
}

function connectAnew(host: string, port: number): void {
  const socket = connect({ host, port, noDelay: true, timeout: TIMEOUT_MS });
  socket.write('n');
  socket.once('data', () => socket.destroy());
  socket.on('timeout', () => socket.destroy(new Error('no answer')));
  socket.on('error', (error) => failures.push(NEW_CONNECTION + error.message));
}

function report(): PaceReport {
  const sorted = latencies.toSorted((a, b) => a - b);
  const result = {
    calls: sorted.length,
    p99: percentileOf(sorted, 0.99) ?? 0,
    failures: failures.slice(0, 20),
  };
  latencies = [];
  failures = [];
  return result;
}

function pace(host: string, port: number, perSecond: number): void {
  const lines = Array.from({ length: CONNECTIONS }, () => new Line(host, port));
  const startMs = performance.now();
  let calls = 0;
  setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1000);
    for (; calls < due; calls++) lines[calls % CONNECTIONS]!.call();
  }, 1);
  setInterval(() => connectAnew(host, port), NEW_CONNECTION_MS);
  const input = createInterface(process.stdin);
  input.on('line', () => process.stdout.write(`${JSON.stringify(report())}\n`));
  // Whoever started it has gone.
  input.on('close', () => process.exit(0));
  process.stdout.write('ready\n');
}

if (process.argv[1] === import.meta.filename) {
  const [role, ...rest] = process.argv.slice(2);
  if (role === 'serve') serve(Number(rest[0]));
  else pace(rest[0]!, Number(rest[1]), Number(rest[2]));
}
