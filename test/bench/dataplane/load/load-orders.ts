/** Carries out one order of the bench; nothing else runs meanwhile. */

import { systemError } from '../../../../src/sys/errno.ts';
import { NativeBuffer } from '../../../../src/sys/native-buffer.ts';
import { writeFrom } from '../../../../src/sys/sockets.ts';
import { BulkTransfer } from './bulk-transfer.ts';
import { type Connection, EventLoop, WRITABLE } from './event-loop.ts';
import type {
  BulkOrder,
  FreshOrder,
  IdleOrder,
  Latencies,
  LoadOrder,
  LoadResult,
  PacedOrder,
  RequestsOrder,
} from './load-protocol.ts';
import { MODE } from './load-protocol.ts';
import { LoadRun } from './load-run.ts';
import { dial, RequestConnection, targetOf } from './request-connection.ts';

/** Longer than anything takes that works. */
const OPEN_DEADLINE_MS = 60_000;
/** Being opened at a time: what a listener's backlog holds, whoever listens. */
const DIALS_AT_ONCE = 64;
const TURN_MS = 20;
const NONE: Latencies = { p50: 0, p90: 0, p99: 0, p999: 0 };

export class LoadOrders {
  readonly #loop = new EventLoop();
  readonly #transfer = new BulkTransfer();
  #open: Connection[] = [];

  /** Blocks until it is done. @throws AMBIT_SYSTEM_CALL_FAILED when a connection fails */
  run(order: LoadOrder): LoadResult {
    for (const { fd } of this.#open) this.#loop.close(fd);
    this.#open = [];
    switch (order.kind) {
      case 'bulk':
        return this.#bulk(order);
      case 'requests':
        return this.#requests(order);
      case 'paced':
        return this.#paced(order);
      case 'fresh':
        return this.#fresh(order);
      case 'idle':
        return this.#idle(order);
    }
  }

  #bulk(order: BulkOrder): LoadResult {
    const run = new LoadRun();
    const target = targetOf(order.target);
    for (let i = 0; i < order.connections; i++) {
      const stream = new BulkStream(dial(target), order.direction, this.#transfer, run);
      this.#open.push(stream);
      this.#loop.add(stream);
    }
    return this.#andClose(run.drive(this.#loop, order));
  }

  #requests(order: RequestsOrder): LoadResult {
    const run = new LoadRun();
    const askedAtMs: number[] = [];
    const connections = this.#connect(order.target, order.connections, (connection) => {
      const nowMs = performance.now();
      run.countRequest((nowMs - askedAtMs[connection.fd]!) * 1000);
      askedAtMs[connection.fd] = nowMs;
      connection.ask();
    });
    for (const connection of connections) {
      askedAtMs[connection.fd] = performance.now();
      connection.ask();
    }
    return this.#andClose(run.drive(this.#loop, order));
  }

  /** Due is a request when the clock of epoll, which ticks in ms, says so; it may have to wait for a connection. */
  #paced(order: PacedOrder): LoadResult {
    const run = new LoadRun();
    const askedAtMs: number[] = [];
    const dueAtMs: number[] = [];
    const idle: RequestConnection[] = [];
    const askWhatIsDue = () => {
      while (idle.length > 0 && dueAtMs.length > 0) {
        const connection = idle.shift()!;
        askedAtMs[connection.fd] = dueAtMs.shift()!;
        connection.ask();
      }
    };
    idle.push(
      ...this.#connect(order.target, order.connections, (connection) => {
        run.countRequest((performance.now() - askedAtMs[connection.fd]!) * 1000);
        idle.push(connection);
        askWhatIsDue();
      }),
    );
    const periodMs = 1000 / order.perSecond;
    let nextMs = performance.now();
    const pace = () => {
      const nowMs = performance.now();
      for (; nextMs <= nowMs; nextMs += periodMs) dueAtMs.push(nowMs);
      askWhatIsDue();
      return Math.ceil(nextMs - nowMs);
    };
    return this.#andClose(run.drive(this.#loop, order, pace));
  }

  #fresh(order: FreshOrder): LoadResult {
    const run = new LoadRun();
    const target = targetOf(order.target);
    const begin = () => {
      const startMs = performance.now();
      let asked = false;
      const connection = new RequestConnection(this.#loop, target, () => {
        if (!asked) {
          asked = true;
          connection.ask();
          return;
        }
        run.countRequest((performance.now() - startMs) * 1000);
        this.#loop.close(connection.fd);
        current.delete(connection);
        begin();
      });
      current.add(connection);
    };
    const current = new Set<RequestConnection>();
    for (let i = 0; i < order.connections; i++) begin();
    const result = run.drive(this.#loop, order);
    for (const { fd } of current) this.#loop.close(fd);
    return result;
  }

  #idle(order: IdleOrder): LoadResult {
    this.#connect(order.target, order.connections, () => {});
    return { kind: 'done', amount: order.connections, seconds: 0, cpuSeconds: 0, latencies: NONE };
  }

  /**
   * Connections that have each carried one request, since a proxy takes a connection before it has a way for it;
   * `onAnswer` is told of each answer after that.
   */
  #connect(
    text: string,
    count: number,
    onAnswer: (connection: RequestConnection) => void,
  ): RequestConnection[] {
    const target = targetOf(text);
    const connections: RequestConnection[] = [];
    let ready = 0;
    const dialOne = () => {
      let calls = 0;
      const connection = new RequestConnection(this.#loop, target, () => {
        calls++;
        if (calls > 2) return onAnswer(connection);
        if (calls === 1) return connection.ask();
        ready++;
        if (connections.length < count) dialOne();
      });
      connections.push(connection);
      this.#open.push(connection);
    };
    for (let i = 0; i < Math.min(count, DIALS_AT_ONCE); i++) dialOne();
    this.#until(() => ready === count, `answers on ${count} connections`);
    return connections;
  }

  #until(condition: () => boolean, what: string): void {
    const deadlineMs = performance.now() + OPEN_DEADLINE_MS;
    while (!condition()) {
      this.#loop.turn(TURN_MS);
      if (performance.now() > deadlineMs) throw new Error(`not within ${OPEN_DEADLINE_MS} ms: ${what}`);
    }
  }

  #andClose(result: LoadResult): LoadResult {
    for (const { fd } of this.#open) this.#loop.close(fd);
    this.#open = [];
    return result;
  }
}

/** One of the streams of a bulk order. */
class BulkStream implements Connection {
  readonly fd: number;
  readonly #direction: 'up' | 'down';
  readonly #transfer: BulkTransfer;
  readonly #run: LoadRun;
  #isOpen = false;

  constructor(fd: number, direction: 'up' | 'down', transfer: BulkTransfer, run: LoadRun) {
    this.fd = fd;
    this.#direction = direction;
    this.#transfer = transfer;
    this.#run = run;
  }

  onEvents(events: number): boolean {
    if (!this.#isOpen) {
      if ((events & WRITABLE) === 0) return false;
      this.#begin();
    }
    const step = this.#direction === 'up' ? this.#transfer.write(this.fd) : this.#transfer.read(this.fd);
    if (step.state === 'ended') throw new Error('a bulk stream was cut');
    this.#run.count(step.bytes);
    return step.state === 'more';
  }

  #begin(): void {
    this.#isOpen = true;
    modeByte.bytes[0] = this.#direction === 'up' ? MODE.discard : MODE.source;
    const result = writeFrom(this.fd, modeByte, 0, 1);
    if (result !== 1) throw systemError('begin a bulk stream', result);
  }
}

const modeByte = new NativeBuffer(1);
