/** The event loop of the data plane: one epoll per thread. */

/** Bits of {@link EventHandler.onEvents}. */
export const READABLE = 0x001;
export const WRITABLE = 0x004;
/** An error waits in the descriptor (EPOLLERR). */
export const FAILED = 0x008;
/** The peer closed its direction, or both are closed (EPOLLRDHUP, EPOLLHUP). */
export const HANGUP = 0x2010;

/** Whoever owns a descriptor that is registered with a reactor. */
export interface EventHandler {
  /** Edge-triggered: a set bit is told once, so take everything or come back by {@link Reactor.defer}. */
  onEvents(events: number): void;
  /** Something thrown out of {@link onEvents} came this far: close the descriptor and tell whom it concerns. */
  onFailure?(thrown: unknown): void;
}

/** A piece of work put off. */
export interface Task {
  run(): void;
  onFailure?(thrown: unknown): void;
}

/** Whoever collects output during a turn and hands it over once, at the end. */
export interface Flushable {
  flush(): void;
  onFailure?(thrown: unknown): void;
}

export interface Timer {
  cancel(): void;
}

export declare class Reactor {
  constructor();
  /** Monotonic milliseconds, read once per turn. */
  readonly nowMs: number;
  /** For {@link wakeReactor} in another thread. */
  readonly wakeFd: number;
  /** How many exceptions handlers let escape; each is logged. */
  readonly handlerFailures: number;
  /** Watches a descriptor, edge-triggered, for all events. */
  register(fd: number, handler: EventHandler): void;
  /** Stops watching; no event of this turn that is still to be told reaches the handler. */
  deregister(fd: number): void;
  /** As {@link deregister} without the system call, for a descriptor that is closed right after. */
  forget(fd: number): void;
  /** Runs the task later in this turn, or in the next one when the tasks of this turn already run. */
  defer(task: Task): void;
  /** Calls flush() once, after events and deferred tasks; whoever asks keeps a dirty flag. */
  atTurnEnd(flushable: Flushable): void;
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Called in this thread after another one has called {@link wakeReactor}; a worker reads its MessagePort here. */
  onWake(callback: () => void): void;
  /** One pass: poll (at most `timeoutMs`, -1 for ever), events, deferred tasks, timers, flushes. */
  turn(timeoutMs: number): void;
  /** Blocks the thread until {@link stop}: no Node timer, promise or socket lives meanwhile. */
  run(): void;
  stop(): void;
  wake(): void;
  /** Lets the loop ride in Node's own event loop, for main threads and tests. */
  attachToNode(): void;
  close(): void;
}

/** Wakes the reactor that owns `wakeFd`, from any thread. */
export declare function wakeReactor(wakeFd: number): void;
