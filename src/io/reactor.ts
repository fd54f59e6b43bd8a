/** The event loop of the data plane: one epoll per thread. */

// Not the global of this name: that is a getter, which V8 does not compile into its callers.
import { performance } from 'node:perf_hooks';
import { messageOf } from '../base/errors.ts';
import { Epoll, EVERYTHING, READABILITY } from '../sys/epoll.ts';
import { systemError } from '../sys/errno.ts';
import { drainEventFd, openEventFd, ringEventFd } from '../sys/event-fd.ts';
import { watchReadable } from '../sys/node-loop.ts';
import { closeDescriptor } from '../sys/sockets.ts';
import { logger } from '../telemetry/log.ts';
import { TimerHeap } from './timer-heap.ts';
import { WorkQueue } from './work-queue.ts';

/** Bits of {@link EventHandler.onEvents}: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP with EPOLLRDHUP. */
export const READABLE = 0x001;
export const WRITABLE = 0x004;
export const FAILED = 0x008;
export const HANGUP = 0x2010;

/** Whoever owns a descriptor that is registered with a reactor. */
export interface EventHandler {
  /** Edge-triggered: a set bit is told once, so take everything or come back by {@link Reactor.defer}. */
  onEvents(events: number): void;
  /** Something thrown out of {@link onEvents} came this far: close the descriptor and tell whom it concerns. */
  onFailure?(thrown: unknown): void;
}

/** How long work that could take the thread for long goes on before the loop looks who else has something to say, in ms. */
export const SLICE_MS = 0.1;

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

/** Wakes the reactor that owns `wakeFd`, from any thread. */
export function wakeReactor(wakeFd: number): void {
  ringEventFd(wakeFd);
}

const log = logger('reactor');

/** The longest wait that epoll_wait(2) and Node's timers can be asked for, in ms; a longer one is waited in parts. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/**
 * Tells handlers what their descriptors are ready for. All callbacks are synchronous, one after another, in turns:
 * events, flushes, deferred tasks, a slice of long tasks, timers, flushes. What a callback throws ends with its owner,
 * never with the loop.
 */
export class Reactor {
  /** For {@link wakeReactor} in another thread. */
  readonly wakeFd = openEventFd();
  /** Exceptions that came out of callbacks; each is logged. */
  handlerFailures = 0;
  /** Told so far, to anybody: the loop has nothing to do while it stays. */
  events = 0;
  /** Descriptors that it watches now: its connections, and a few of its own. */
  watched = 0;
  readonly #epoll = new Epoll();
  /** By descriptor; the generation tells a stale event from one for a descriptor whose number was used again. */
  readonly #handlers: (EventHandler | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #deferred = new WorkQueue<Task>();
  readonly #long = new WorkQueue<Task>();
  readonly #flushes = new WorkQueue<Flushable>();
  readonly #timers = new TimerHeap();
  readonly #wakeCallbacks: (() => void)[] = [];
  #nowMs = performance.now();
  #inTurn = false;
  #stopped = false;
  #closed = false;
  #node: NodeAttachment | undefined;

  constructor() {
    // An eventfd that is emptied becomes writable: not worth a second wake-up.
    this.#watch(this.wakeFd, { onEvents: () => this.#woken() }, READABILITY);
  }

  /** Monotonic milliseconds, read once per turn. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Watches a descriptor, edge-triggered, for all events. @throws AMBIT_SYSTEM_CALL_FAILED */
  register(fd: number, handler: EventHandler): void {
    this.#watch(fd, handler, EVERYTHING);
  }

  /** Stops watching; no event of this turn that is still to be told reaches the handler. */
  deregister(fd: number): void {
    if (this.#handlers[fd] === undefined) return;
    this.#epoll.remove(fd);
    this.#drop(fd);
  }

  /** As {@link deregister} without the system call, for a descriptor without duplicates that is closed right after. */
  forget(fd: number): void {
    if (this.#handlers[fd] !== undefined) this.#drop(fd);
  }

  /** Runs the task later in this turn, or in the next one when the tasks of this turn already run. */
  defer(task: Task): void {
    this.#deferred.add(task);
    if (!this.#inTurn) this.#node?.requestTurn();
  }

  /** Runs the task, a portion of long work, when its turn has come: all of them together have one slice of each turn. */
  deferLong(task: Task): void {
    this.#long.add(task);
    if (!this.#inTurn) this.#node?.requestTurn();
  }

  /** Calls flush() once, after the events or after the tasks of a turn; whoever asks keeps a dirty flag. */
  flushInTurn(flushable: Flushable): void {
    this.#flushes.add(flushable);
    if (!this.#inTurn) this.#node?.requestTurn();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const nowMs = this.#inTurn ? this.#nowMs : performance.now();
    const timer = this.#timers.add(nowMs + delayMs, callback);
    if (!this.#inTurn) this.#node?.armTimer(this.#timers.nextDeadlineMs);
    return timer;
  }

  /** Called in this thread after another one has called {@link wakeReactor}; a worker reads its MessagePort here. */
  onWake(callback: () => void): void {
    this.#wakeCallbacks.push(callback);
  }

  /**
   * One pass: poll (at most `timeoutMs`, -1 for ever), events, deferred tasks, a slice of long ones, timers. What events
   * have caused is flushed before tasks: an answer must not wait for them.
   */
  turn(timeoutMs: number): void {
    const count = this.#epoll.wait(this.#pollTimeout(timeoutMs));
    this.#nowMs = performance.now();
    this.#inTurn = true;
    this.events += count;
    for (let i = 0; i < count; i++) this.#dispatch(i);
    this.#flushes.run(this.#runFlush);
    this.#deferred.run(this.runTask);
    this.#long.runFor(SLICE_MS, this.runTask);
    this.#runTimers();
    this.#flushes.run(this.#runFlush);
    this.#inTurn = false;
  }

  /** Blocks the thread until {@link stop}: no Node timer, promise or socket lives meanwhile. */
  run(): void {
    this.#stopped = false;
    while (!this.#stopped) this.turn(-1);
  }

  /** Makes {@link run} return after the turn at hand; from another thread, by a message that an onWake callback reads. */
  stop(): void {
    this.#stopped = true;
  }

  wake(): void {
    ringEventFd(this.wakeFd);
  }

  /** Lets the loop ride in Node's own event loop, for main threads and tests: turns run as immediates. */
  attachToNode(): void {
    this.#node ??= new NodeAttachment(this.#epoll.fd, () => {
      this.turn(0);
      if (this.#hasWork()) this.#node?.requestTurn();
      this.#node?.armTimer(this.#timers.nextDeadlineMs);
    });
    this.#node.requestTurn();
  }

  /** Frees the loop's own descriptors; those registered are their owners' to close, before this. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stop();
    this.#node?.detach();
    this.#node = undefined;
    this.#epoll.close();
    closeDescriptor(this.wakeFd);
  }

  /** Counts and logs what came out of a callback that had to be survived; for owners that guard callbacks themselves. */
  reportFailure(thrown: unknown): void {
    this.handlerFailures++;
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    log.error('an event handler failed', { error: messageOf(thrown), stack });
  }

  #watch(fd: number, handler: EventHandler, interest: number): void {
    while (this.#handlers.length <= fd) {
      this.#handlers.push(undefined);
      this.#generations.push(0);
    }
    const generation = (this.#generations[fd]! + 1) | 0;
    const result = this.#epoll.add(fd, generation, interest);
    if (result < 0) throw systemError(`watch descriptor ${fd}`, result);
    this.#generations[fd] = generation;
    this.#handlers[fd] = handler;
    this.watched++;
  }

  #drop(fd: number): void {
    this.#handlers[fd] = undefined;
    this.watched--;
  }

  #pollTimeout(wantedMs: number): number {
    if (this.#hasWork()) return 0;
    const deadlineMs = this.#timers.nextDeadlineMs;
    if (deadlineMs === undefined) return wantedMs;
    const untilTimerMs = waitUntil(deadlineMs, 0);
    return wantedMs < 0 ? untilTimerMs : Math.min(wantedMs, untilTimerMs);
  }

  #hasWork(): boolean {
    return this.#deferred.length + this.#long.length + this.#flushes.length > 0;
  }

  #dispatch(index: number): void {
    const fd = this.#epoll.descriptorAt(index);
    const handler = this.#handlers[fd];
    if (handler === undefined || this.#generations[fd] !== this.#epoll.generationAt(index)) return;
    try {
      handler.onEvents(this.#epoll.eventsAt(index));
    } catch (thrown) {
      this.#survive(handler, thrown);
      if (this.#handlers[fd] === handler) this.deregister(fd);
    }
  }

  /** Runs a task at once; what it throws ends with its owner. */
  readonly runTask = (task: Task): void => {
    try {
      task.run();
    } catch (thrown) {
      this.#survive(task, thrown);
    }
  };

  readonly #runFlush = (flushable: Flushable): void => {
    try {
      flushable.flush();
    } catch (thrown) {
      this.#survive(flushable, thrown);
    }
  };

  /** At most as many as there were: a timer that sets another without delay must not hold the turn. */
  #runTimers(): void {
    for (let left = this.#timers.size; left > 0; left--) {
      const timer = this.#timers.takeDue(this.#nowMs);
      if (timer === undefined) return;
      try {
        timer.callback();
      } catch (thrown) {
        this.reportFailure(thrown);
      }
    }
  }

  #survive(owner: { onFailure?(thrown: unknown): void }, thrown: unknown): void {
    this.reportFailure(thrown);
    try {
      owner.onFailure?.(thrown);
    } catch (again) {
      this.reportFailure(again);
    }
  }

  #woken(): void {
    drainEventFd(this.wakeFd);
    for (const callback of this.#wakeCallbacks) {
      try {
        callback();
      } catch (thrown) {
        this.reportFailure(thrown);
      }
    }
  }
}

function waitUntil(deadlineMs: number, leastMs: number): number {
  return Math.min(MAX_WAIT_MS, Math.max(leastMs, Math.ceil(deadlineMs - performance.now())));
}

/** What drives turns while the reactor has no thread of its own. */
class NodeAttachment {
  readonly #turn: () => void;
  readonly #unwatch: () => void;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDeadlineMs = 0;

  constructor(epollFd: number, turn: () => void) {
    this.#turn = turn;
    this.#unwatch = watchReadable(epollFd, () => this.requestTurn());
  }

  /** At the end of this pass of Node's loop, where promises and exceptions are looked after. */
  requestTurn(): void {
    this.#immediate ??= setImmediate(() => {
      this.#immediate = undefined;
      this.#turn();
    });
  }

  armTimer(deadlineMs: number | undefined): void {
    if (this.#timer !== undefined) {
      if (deadlineMs === this.#timerDeadlineMs) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (deadlineMs === undefined) return;
    this.#timerDeadlineMs = deadlineMs;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.requestTurn();
      },
      waitUntil(deadlineMs, 1),
    );
  }

  detach(): void {
    this.#unwatch();
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }
}
