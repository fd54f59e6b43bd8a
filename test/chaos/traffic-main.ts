/** Runs inside a pod: long connections and short ones to an echo server, which check every byte that comes back. */

import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface TrafficPlan {
  readonly host: string;
  readonly port: number;
  /** Connections that last; one that is cut is replaced. */
  readonly streams: number;
  /** How long after its end. */
  readonly replaceAfterMs: number;
  /** Of a stream: how much it sends at a time, 25 times a second; a chunk has 4 kB on average. */
  readonly chunksPerTick: number;
  /** Between the beginnings of two short connections. */
  readonly callIntervalMs: number;
}

/**
 * `complete`: everything that was sent came back, then the end. `truncated`: a clean end before that, which an
 * application would take for the end of the data. `reset`: an error that it cannot overlook.
 */
export type Ending = 'complete' | 'truncated' | 'reset' | 'corrupt' | 'refused';

/** One connection that is over; times are milliseconds since 1970. */
export interface EndedConnection {
  readonly kind: 'ended';
  readonly what: 'stream' | 'call';
  readonly startMs: number;
  readonly endMs: number;
  readonly received: number;
  readonly how: Ending;
  readonly detail: string;
}

/** Number of a long connection → bytes that came back so far. */
export interface OpenStreams {
  readonly kind: 'open';
  readonly streams: Readonly<Record<number, number>>;
  /** Short connections that are under way. */
  readonly calls: number;
}

export type TrafficReport = EndedConnection | OpenStreams;

/** Orders, one per line: begin short connections, begin no more of them, tell what is open, end the long ones. */
export type TrafficOrder = 'go' | 'hold' | 'report' | 'finish';

/** In every line of what is sent, so that it can be looked for in captured packets. */
export const READABLE = 'readable words';
/** A line is `readable words 0000001234567\n`: no two positions look the same. */
const LINE_BYTES = 32;
const LINES = 32_768;
const PERIOD = LINE_BYTES * LINES;
/** They meet buffers of every size at every offset. */
const CHUNKS = [1, 1459, 17, 4097, 3, 16_385, 251, 8191];
const LONGEST_CHUNK = 16_385;
const CALL_BYTES = 3001;
const TICK_MS = 40;
/** Bytes of a stream on their way: more than any buffer need hold, less than what a stream would fill in seconds. */
const WINDOW_BYTES = 128 * 1024;
/** A call that takes longer is one that failed; retransmissions of lossy links have their time. */
const CALL_TIMEOUT_MS = 15_000;

const pattern = makePattern();

function makePattern(): Buffer {
  const lines = Array.from({ length: LINES }, (_, i) => `${READABLE} ${String(i).padStart(16, '0')}\n`);
  const text = lines.join('');
  return Buffer.from(text + text.slice(0, 4 * LONGEST_CHUNK));
}

/** A place of its own for each connection, so that mixed-up ones do not match. */
function patternAt(id: number, position: number): number {
  return (position + id * 7919) % PERIOD;
}

class CheckedConnection {
  readonly id: number;
  readonly #socket: Socket;
  readonly #startMs = Date.now();
  readonly #onOver: (ended: EndedConnection) => void;
  readonly #what: EndedConnection['what'];
  #chunks = 0;
  #sent = 0;
  #received = 0;
  #connected = false;
  #hasEnded = false;
  #over = false;

  constructor(
    id: number,
    { host, port }: TrafficPlan,
    use: { readonly what: EndedConnection['what']; readonly onOver: (ended: EndedConnection) => void },
  ) {
    this.id = id;
    this.#what = use.what;
    this.#onOver = use.onOver;
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    socket.once('connect', () => {
      this.#connected = true;
      if (use.what === 'call') this.#callOnce();
    });
    socket.on('data', (data) => this.#onData(data as Buffer));
    socket.on('end', () => this.#onEnd());
    socket.on('error', ({ message }) => this.#finish(this.#connected ? 'reset' : 'refused', message));
    socket.on('close', () => this.#finish('reset', 'closed'));
  }

  get received(): number {
    return this.#received;
  }

  /** Sends the next chunk, unless enough is on its way. */
  sendChunk(): void {
    const size = CHUNKS[(this.id + this.#chunks++) % CHUNKS.length]!;
    if (this.#connected && !this.#hasEnded && this.#sent - this.#received < WINDOW_BYTES) this.#send(size);
  }

  end(): void {
    this.#hasEnded = true;
    this.#socket.end();
  }

  #callOnce(): void {
    this.#send(CALL_BYTES);
    this.end();
    const deadline = setTimeout(() => this.#finish('reset', 'no end in time'), CALL_TIMEOUT_MS);
    this.#socket.once('close', () => clearTimeout(deadline));
  }

  #send(size: number): void {
    const from = patternAt(this.id, this.#sent);
    this.#sent += size;
    this.#socket.write(pattern.subarray(from, from + size));
  }

  #onData(data: Buffer): void {
    for (let done = 0; done < data.length; ) {
      const part = data.subarray(done, done + LONGEST_CHUNK);
      const from = patternAt(this.id, this.#received);
      if (pattern.compare(part, 0, part.length, from, from + part.length) !== 0) {
        return this.#finish('corrupt', `behind byte ${this.#received}`);
      }
      done += part.length;
      this.#received += part.length;
    }
  }

  #onEnd(): void {
    const whole = this.#hasEnded && this.#received === this.#sent;
    this.#finish(whole ? 'complete' : 'truncated', `${this.#received} of ${this.#sent} bytes came back`);
  }

  #finish(how: Ending, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    const [startMs, endMs, received] = [this.#startMs, Date.now(), this.#received];
    this.#onOver({ kind: 'ended', what: this.#what, startMs, endMs, received, how, detail });
  }
}

class Traffic {
  readonly #plan: TrafficPlan;
  readonly #streams = new Set<CheckedConnection>();
  readonly #calls = new Set<CheckedConnection>();
  #lastId = 0;
  #finishing = false;
  #calling: NodeJS.Timeout | undefined;

  constructor(plan: TrafficPlan) {
    this.#plan = plan;
    for (let i = 0; i < plan.streams; i++) this.#openStream();
    setInterval(() => {
      for (const stream of this.#streams) {
        for (let i = 0; i < plan.chunksPerTick; i++) stream.sendChunk();
      }
    }, TICK_MS);
  }

  obey(order: TrafficOrder): void {
    clearInterval(order === 'report' ? undefined : this.#calling);
    if (order === 'go') this.#calling = setInterval(() => this.#call(), this.#plan.callIntervalMs);
    if (order === 'finish') {
      this.#finishing = true;
      for (const stream of this.#streams) stream.end();
    }
    if (order !== 'report') return;
    const streams = Object.fromEntries([...this.#streams].map(({ id, received }) => [id, received]));
    tell({ kind: 'open', streams, calls: this.#calls.size });
  }

  #call(): void {
    const onOver = (ended: EndedConnection) => {
      this.#calls.delete(call);
      tell(ended);
    };
    const call = new CheckedConnection(++this.#lastId, this.#plan, { what: 'call', onOver });
    this.#calls.add(call);
  }

  #openStream(): void {
    const onOver = (ended: EndedConnection) => {
      this.#streams.delete(stream);
      tell(ended);
      if (!this.#finishing) setTimeout(() => this.#openStream(), this.#plan.replaceAfterMs);
    };
    const stream = new CheckedConnection(++this.#lastId, this.#plan, { what: 'stream', onOver });
    this.#streams.add(stream);
  }
}

function tell(report: TrafficReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

if (process.argv[1] === import.meta.filename) {
  const traffic = new Traffic(JSON.parse(process.argv[2]!) as TrafficPlan);
  createInterface({ input: process.stdin })
    .on('line', (line) => traffic.obey(line as TrafficOrder))
    .once('close', () => process.exit(0));
}
