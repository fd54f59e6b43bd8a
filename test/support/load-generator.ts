/** Runs inside a pod: many connections at once that check every byte, end in every way, and tell what they saw. */

import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** How a connection ends. The side named first ends first; the other one has half of its bytes left then. */
export type Ending = 'client-first' | 'server-first' | 'client-resets' | 'server-resets' | 'killed';

/** Connections of a kind. */
export interface LoadBatch {
  readonly count: number;
  /** Each way, on each connection. */
  readonly bytes: number;
  readonly ending: Ending;
}

export interface LoadPlan {
  readonly host: string;
  readonly port: number;
  readonly batches: readonly LoadBatch[];
}

/** What one side saw of one connection. */
export interface ConnectionOutcome {
  readonly id: number;
  readonly ending: Ending;
  readonly sent: number;
  readonly received: number;
  readonly end: 'complete' | 'reset' | 'corrupt' | 'cut short';
  readonly detail?: string;
}

/** Lines that a generator writes. */
export type LoadReport = { readonly kind: 'open' } | ({ readonly kind: 'outcome' } & ConnectionOutcome);

const ENDINGS: readonly Ending[] = [
  'client-first',
  'server-first',
  'client-resets',
  'server-resets',
  'killed',
];
/** Of the bytes that every connection draws from: a prime, so that no power of two fits into it. */
const PERIOD = 1_000_003;
const LONGEST_CHUNK = 262_143;
/** None is a multiple of another: they meet every buffer size at every offset. */
const CHUNKS = [1, 1459, 17, 65_537, 4097, 3, 131_071, 16_385, 251, LONGEST_CHUNK, 8191];
/** Sent first by the client: number of the connection, its ending, and its bytes each way. */
const HEADER_BYTES = 16;
/** Received by a side that resets before it does so. */
const RESET_AFTER_BYTES = 1_000_000;
/** Sockets that are being opened at a time: less than what the listener's backlog holds. */
const DIALS_AT_ONCE = 100;

const pattern = makePattern();

/** The same on both sides, without anything being exchanged. */
function makePattern(): Buffer {
  const bytes = Buffer.alloc(PERIOD + LONGEST_CHUNK);
  let state = 0x9e3779b9;
  for (let i = 0; i < PERIOD; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = state >>> 24;
  }
  bytes.copy(bytes, PERIOD, 0, LONGEST_CHUNK);
  return bytes;
}

interface Sides {
  readonly role: 'client' | 'server';
  readonly id: number;
  readonly bytes: number;
  readonly ending: Ending;
}

/** One side of one connection after the header. */
class Conversation {
  readonly #socket: Socket;
  readonly #sides: Sides;
  readonly #onOutcome: (outcome: ConnectionOutcome) => void;
  #sent = 0;
  #received = 0;
  #chunk: number;
  #limit: number;
  #peerEnded = false;
  #over = false;

  constructor(socket: Socket, sides: Sides, onOutcome: (outcome: ConnectionOutcome) => void) {
    this.#socket = socket;
    this.#sides = sides;
    this.#onOutcome = onOutcome;
    this.#chunk = sides.id;
    this.#limit = this.#endsSecond ? Math.ceil(sides.bytes / 2) : sides.bytes;
    socket.on('data', (data) => this.#onData(data as Buffer));
    socket.on('drain', () => this.#send());
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.#finish('reset', error.message));
    socket.on('close', () => this.#finish('cut short', 'closed'));
  }

  start(): void {
    this.#send();
  }

  get #endsSecond(): boolean {
    const { role, ending } = this.#sides;
    return ending === (role === 'client' ? 'server-first' : 'client-first');
  }

  get #resets(): boolean {
    return this.#sides.ending === `${this.#sides.role}-resets`;
  }

  /** A different place for each connection and direction, so that mixed-up ones do not match. */
  #patternAt(position: number, sender: 'client' | 'server'): number {
    return (position + this.#sides.id * 7919 + (sender === 'client' ? 0 : 500_009)) % PERIOD;
  }

  #send(): void {
    while (!this.#over && this.#sent < this.#limit) {
      const size = Math.min(CHUNKS[this.#chunk++ % CHUNKS.length]!, this.#limit - this.#sent);
      const from = this.#patternAt(this.#sent, this.#sides.role);
      this.#sent += size;
      if (!this.#socket.write(pattern.subarray(from, from + size))) return;
    }
    if (this.#sent === this.#sides.bytes && !this.#over) this.#socket.end();
  }

  #onData(data: Buffer): void {
    const sender = this.#sides.role === 'client' ? 'server' : 'client';
    for (let done = 0; done < data.length; ) {
      const from = this.#patternAt(this.#received, sender);
      const part = data.subarray(done, done + LONGEST_CHUNK);
      if (pattern.compare(part, 0, part.length, from, from + part.length) !== 0) {
        this.#finish('corrupt', `behind byte ${this.#received}`);
        this.#socket.destroy();
        return;
      }
      done += part.length;
      this.#received += part.length;
    }
    if (this.#resets && this.#received >= RESET_AFTER_BYTES) this.#reset();
  }

  #reset(): void {
    this.#finish('reset', 'by this side');
    this.#socket.resetAndDestroy();
  }

  #onEnd(): void {
    this.#peerEnded = true;
    this.#limit = this.#sides.bytes;
    this.#send();
    this.#socket.once('finish', () => this.#finish('complete'));
    if (this.#socket.writableFinished) this.#finish('complete');
  }

  #finish(end: ConnectionOutcome['end'], detail?: string): void {
    if (this.#over) return;
    this.#over = true;
    const { id, ending, bytes } = this.#sides;
    const whole = this.#received === bytes && this.#sent === bytes && this.#peerEnded;
    const verdict = end === 'complete' && !whole ? 'cut short' : end;
    this.#onOutcome({
      id,
      ending,
      sent: this.#sent,
      received: this.#received,
      end: verdict,
      ...(detail !== undefined && { detail }),
    });
  }
}

function report(line: LoadReport): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Accepts for ever; the first bytes of each connection say what it is for. */
function serve(port: number): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const header: Buffer[] = [];
    const onData = (data: Buffer) => {
      header.push(data);
      const all = Buffer.concat(header);
      if (all.length < HEADER_BYTES) return;
      socket.off('data', onData);
      socket.off('error', onError);
      // A byte in answer: the connection stands from end to end.
      socket.write(Buffer.alloc(1));
      converse(socket, all);
    };
    const onError = () => socket.destroy();
    socket.on('data', onData);
    socket.on('error', onError);
  });
  server.listen(port, () => report({ kind: 'open' }));
}

function converse(socket: Socket, received: Buffer): void {
  const sides: Sides = {
    role: 'server',
    id: received.readUInt32BE(0),
    ending: ENDINGS[received.readUInt32BE(4)]!,
    bytes: Number(received.readBigUInt64BE(8)),
  };
  const conversation = new Conversation(socket, sides, (one) => report({ kind: 'outcome', ...one }));
  // Held until the client begins.
  socket.once('data', () => conversation.start());
  const rest = received.subarray(HEADER_BYTES);
  if (rest.length > 0) socket.emit('data', rest);
}

/** Opens every connection, says so, and begins when a line comes on standard input. */
async function run(plan: LoadPlan): Promise<void> {
  const sides = plan.batches
    .flatMap(({ count, bytes, ending }) => Array.from({ length: count }, () => ({ bytes, ending })))
    .map((one, id): Sides => ({ ...one, id, role: 'client' }));
  const ready: (() => void)[] = [];
  let next = 0;
  const dialSome = async () => {
    for (let one = sides[next++]; one !== undefined; one = sides[next++]) ready.push(await open(plan, one));
  };
  await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dialSome));
  report({ kind: 'open' });
  createInterface(process.stdin).once('line', () => {
    process.stdin.destroy();
    for (const start of ready) start();
  });
}

/** Resolves with what starts the conversation, once the server has answered. */
function open(plan: LoadPlan, sides: Sides): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<() => void>();
  const socket = connect({ host: plan.host, port: plan.port, allowHalfOpen: true, noDelay: true });
  const fail = (error: Error) => {
    report({ kind: 'outcome', ...sides, sent: 0, received: 0, end: 'cut short', detail: error.message });
    resolve(() => {});
  };
  const early = () => fail(new Error('the connection ended before the server had answered'));
  socket.once('error', fail);
  socket.once('end', early);
  socket.write(headerOf(sides));
  socket.once('data', () => {
    socket.off('error', fail);
    socket.off('end', early);
    const conversation = new Conversation(socket, sides, (one) => report({ kind: 'outcome', ...one }));
    resolve(() => conversation.start());
  });
  return promise;
}

function headerOf({ id, ending, bytes }: Sides): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(id, 0);
  header.writeUInt32BE(ENDINGS.indexOf(ending), 4);
  header.writeBigUInt64BE(BigInt(bytes), 8);
  return header;
}

if (process.argv[1] === import.meta.filename) {
  const [role, argument] = process.argv.slice(2) as ['serve' | 'run', string];
  if (role === 'serve') serve(Number(argument));
  else await run(JSON.parse(argument) as LoadPlan);
}
