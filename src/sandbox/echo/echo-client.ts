/** Calls echo servers, or anything that speaks HTTP, again and again, and counts what became of it. */

import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { type CallOutcome, CallStatistics } from './call-statistics.ts';

export interface EchoClientOptions {
  /** Called in turn. */
  readonly targets: readonly URL[];
  readonly count: number;
  /** Between the starts of two calls of one connection. */
  readonly intervalMs: number;
  /** Calls under way at once. */
  readonly connections: number;
  readonly timeoutMs: number;
  /** Use a connection for many calls. */
  readonly keepAlive: boolean;
  /** Told of every call in one line. */
  readonly onCall: (line: string) => void;
}

/** Of an answer only the start is kept: enough to tell who sent it. */
const MAX_ANSWER = 64 * 1024;

export class EchoClient {
  readonly #options: EchoClientOptions;
  readonly #statistics = new CallStatistics();
  readonly #agent: Agent;
  #started = 0;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(options: EchoClientOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: options.keepAlive, maxSockets: options.connections });
  }

  /** Ends after the calls under way. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  async run(): Promise<CallStatistics> {
    const stopped = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.all(Array.from({ length: this.#options.connections }, () => this.#runOne(stopped)));
    this.#agent.destroy();
    return this.#statistics;
  }

  async #runOne(stopped: Promise<void>): Promise<void> {
    const { targets, count, intervalMs } = this.#options;
    while (!this.#stopped && this.#started < count) {
      const number = this.#started++;
      const target = targets[number % targets.length]!;
      const startMs = performance.now();
      const outcome = await this.#call(target, number);
      this.#statistics.add(outcome);
      this.#options.onCall(describe(target, outcome));
      const restMs = intervalMs - (performance.now() - startMs);
      if (restMs > 0 && this.#started < count) await pause(restMs, stopped);
    }
  }

  async #call(target: URL, number: number): Promise<CallOutcome> {
    const startMs = performance.now();
    try {
      const responder = await this.#responderOf(target, `ambit ${number}`);
      return { kind: 'ok', responder, latencyMs: performance.now() - startMs };
    } catch (thrown) {
      return { kind: 'failed', reason: reasonOf(thrown), latencyMs: performance.now() - startMs };
    }
  }

  #responderOf(target: URL, message: string): Promise<string> {
    if (target.protocol === 'http:') return this.#callHttp(target);
    if (target.protocol === 'tcp:') return callTcp(target, message, this.#options.timeoutMs);
    return callUdp(target, message, this.#options.timeoutMs);
  }

  #callHttp(target: URL): Promise<string> {
    return new Promise((resolve, reject) => {
      const { timeoutMs } = this.#options;
      const call = request(
        target,
        { agent: this.#agent, signal: AbortSignal.timeout(timeoutMs) },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            if (text.length < MAX_ANSWER) text += chunk;
          });
          response.on('error', reject);
          response.on('end', () => {
            const status = response.statusCode ?? 0;
            if (status >= 400) reject(new Error(`HTTP ${status}`));
            else resolve(String(response.headers['x-echo-name'] ?? nameIn(text)));
          });
        },
      );
      call.on('error', reject);
      call.end();
    });
  }
}

function callTcp(target: URL, message: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostOf(target), port: Number(target.port), noDelay: true });
    let text = '';
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('timeout')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before the answer')));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.includes(message) && text.length < MAX_ANSWER) return;
      socket.end();
      resolve(/^hello from (\S+)$/m.exec(text)?.[1] ?? 'unknown');
    });
    socket.write(`${message}\n`);
  });
}

async function callUdp(target: URL, message: string, timeoutMs: number): Promise<string> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket(hostOf(target).includes(':') ? 'udp6' : 'udp4');
  try {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('timeout')), timeoutMs);
      socket.on('error', reject);
      socket.on('message', () => {
        clearTimeout(timer);
        resolve('unknown');
      });
      socket.send(message, Number(target.port), hostOf(target), (error) => error !== null && reject(error));
    });
  } finally {
    socket.close();
  }
}

function hostOf(target: URL): string {
  return target.hostname.replace(/^\[|\]$/g, '');
}

function nameIn(text: string): string {
  try {
    const { name } = JSON.parse(text) as { name?: unknown };
    return typeof name === 'string' ? name : 'unknown';
  } catch {
    return 'unknown';
  }
}

function reasonOf(thrown: unknown): string {
  const { code, name, message } = thrown as NodeJS.ErrnoException;
  if (name === 'AbortError' || name === 'TimeoutError') return 'timeout';
  return code ?? message;
}

function describe(target: URL, outcome: CallOutcome): string {
  const result = outcome.kind === 'ok' ? `answered by ${outcome.responder}` : `failed: ${outcome.reason}`;
  return `${target.href} ${result} in ${outcome.latencyMs.toFixed(1)} ms`;
}

async function pause(delayMs: number, stopped: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, delayMs);
  });
  await Promise.race([elapsed, stopped]);
  clearTimeout(timer);
}
