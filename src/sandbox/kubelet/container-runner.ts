/** One container of a pod: starts its process, watches it by probes, and starts it again when it ends. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { Backoff } from '../../base/backoff.ts';
import { logger } from '../../telemetry/log.ts';
import type { Container, StoredPod } from '../api/kube-object.ts';
import { now } from '../api/object-store.ts';
import { sendSignal } from '../host/process-table.ts';
import { type ContainerCommand, containerCommand } from './container-command.ts';
import type { ContainerState, ContainerStatus, TerminatedState } from './container-state.ts';
import { type ProbeAnswer, ProbeLoop, type ProbeSpec } from './probe-loop.ts';

const log = logger('kubelet');

export interface ContainerOptions {
  readonly spec: Container;
  readonly logFile: string;
  /** The pod as it is now. */
  readonly currentPod: () => StoredPod;
  /** Asks one probe once. */
  readonly ask: (probe: ProbeSpec, timeoutMs: number) => Promise<ProbeAnswer>;
  readonly onChange: () => void;
}

/** A container that ran at least this long is started again at once, and as often as it likes. */
const STABLE_MS = 10_000;
/** Shorter than the kubelet's 10 s to 5 min: whoever sits before a sandbox waits for it. */
const RESTART_BACKOFF = { minMs: 500, maxMs: 30_000 };
/** How much of the end of a log may become the message of a failed container. */
const MESSAGE_BYTES = 1024;

export class ContainerRunner {
  readonly #options: ContainerOptions;
  readonly #backoff = new Backoff(RESTART_BACKOFF);
  #state: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  #lastState: Partial<TerminatedState> = {};
  #restartCount = 0;
  #ready = false;
  #started = false;
  #enter: readonly string[] = [];
  #process: ChildProcess | undefined;
  #probes: ProbeLoop[] = [];
  #readinessFailure: string | undefined;
  #startedMs = 0;
  #startedAt = '';
  #ended: Promise<void> = Promise.resolve();
  #restartTimer: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #stopping = false;
  /** The next end is somebody's wish, not a failure. */
  #restartWanted = false;

  constructor(options: ContainerOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.spec.name;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  /** Why it is not ready, for people. */
  get readinessFailure(): string | undefined {
    return this.#ready ? undefined : this.#readinessFailure;
  }

  status(): ContainerStatus {
    const { spec, currentPod } = this.#options;
    const { uid } = currentPod().metadata;
    return {
      name: spec.name,
      image: spec.image ?? '',
      imageID: spec.image ?? '',
      ...(this.#startedAt === '' ? {} : { containerID: `ambit://${uid}/${spec.name}/${this.#restartCount}` }),
      ready: this.#ready,
      started: this.#started,
      restartCount: this.#restartCount,
      state: this.#state,
      lastState: this.#lastState,
    };
  }

  /** What it waits for before it can be started. */
  setWaiting(message: string | undefined): void {
    const reason = 'ContainerCreating';
    this.#state = { waiting: message === undefined ? { reason } : { reason, message } };
    this.#options.onChange();
  }

  /** @param enter what to put before a command to run it in the pod */
  start(enter: readonly string[]): void {
    this.#enter = enter;
    this.#stopping = false;
    const command = containerCommand(this.#options.currentPod(), this.#options.spec);
    if (command.kind === 'command') return this.#launch(command);
    this.#state = { waiting: { reason: command.reason, message: command.message } };
    this.#options.onChange();
  }

  /** Ends the process, and starts it again at once. */
  async restart(graceMs: number): Promise<void> {
    this.#restartWanted = true;
    if (this.#process === undefined) this.#startAgain();
    else {
      const before = this.#restartCount;
      this.#terminate(graceMs);
      while (this.#restartCount === before && !this.#stopping) await this.#ended;
    }
  }

  /** Ends the process for good. A second call can shorten the time. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    this.#stopProbes();
    if (this.#process !== undefined) this.#terminate(graceMs);
    await this.#ended;
  }

  #launch(command: ContainerCommand): void {
    const output = openSync(this.#options.logFile, 'a');
    const inDirectory =
      command.workingDirectory === undefined
        ? []
        : ['sh', '-c', 'cd "$0" && exec "$@"', command.workingDirectory];
    const [program, ...args] = [...this.#enter, ...inDirectory, ...command.argv] as [string, ...string[]];
    // A session of its own: what the container starts can be ended together with it.
    const options = { detached: true, env: { ...command.env }, stdio: ['ignore', output, output] as const };
    const child = spawn(program, args, { ...options, stdio: [...options.stdio] });
    closeSync(output);
    this.#process = child;
    this.#startedMs = performance.now();
    this.#startedAt = now();
    this.#state = { running: { startedAt: this.#startedAt } };
    this.#ended = new Promise((resolve) => {
      child.once('error', () => this.#onEnd(127, undefined, resolve));
      child.once('exit', (code, signal) => this.#onEnd(code ?? 0, signal ?? undefined, resolve));
    });
    this.#startProbes();
    this.#options.onChange();
  }

  #onEnd(code: number, signal: NodeJS.Signals | undefined, resolve: () => void): void {
    const number = signal === undefined ? undefined : constants.signals[signal];
    const exitCode = number === undefined ? code : 128 + number;
    const message = exitCode === 0 ? undefined : lastWords(this.#options.logFile);
    clearTimeout(this.#killTimer);
    this.#killTimer = undefined;
    this.#stopProbes();
    this.#killGroup('SIGKILL');
    this.#process = undefined;
    this.#ready = false;
    this.#started = false;
    this.#state = {
      terminated: {
        exitCode,
        reason: exitCode === 0 ? 'Completed' : 'Error',
        ...(message === undefined ? {} : { message }),
        ...(number === undefined ? {} : { signal: number }),
        startedAt: this.#startedAt,
        finishedAt: now(),
      },
    };
    if (!this.#stopping) this.#tellEnd(exitCode, message);
    if (!this.#stopping && this.#wantsRestart(exitCode)) this.#scheduleRestart(this.#state);
    this.#options.onChange();
    resolve();
  }

  #tellEnd(exitCode: number, words: string | undefined): void {
    const { namespace, name } = this.#options.currentPod().metadata;
    const pod = `${namespace}/${name}`;
    log.info('a container has ended', {
      pod,
      container: this.name,
      exitCode,
      restarts: this.#restartCount,
      words,
    });
  }

  #wantsRestart(exitCode: number): boolean {
    const policy = this.#options.currentPod().spec?.restartPolicy ?? 'Always';
    return this.#restartWanted || policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
  }

  #scheduleRestart(ended: TerminatedState): void {
    const stable = performance.now() - this.#startedMs >= STABLE_MS;
    if (stable) this.#backoff.reset();
    const first = this.#lastState.terminated === undefined;
    this.#lastState = ended;
    if (this.#restartWanted || stable || first) return this.#startAgain();
    const delayMs = this.#backoff.next();
    const failure = ended.terminated.message ?? `exit code ${ended.terminated.exitCode}`;
    const message = `back-off ${(delayMs / 1000).toFixed(1)} s before the next start; it ended with: ${failure}`;
    this.#state = { waiting: { reason: 'CrashLoopBackOff', message } };
    this.#restartTimer = setTimeout(() => this.#startAgain(), delayMs);
  }

  #startAgain(): void {
    clearTimeout(this.#restartTimer);
    this.#restartWanted = false;
    this.#restartCount++;
    this.start(this.#enter);
  }

  #terminate(graceMs: number): void {
    this.#killGroup('SIGTERM');
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#killGroup('SIGKILL'), graceMs);
  }

  #killGroup(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid;
    if (pid !== undefined) sendSignal(-pid, signal);
  }

  #startProbes(): void {
    const { startupProbe } = this.#options.spec;
    this.#readinessFailure = undefined;
    if (startupProbe === undefined) return this.#onStarted();
    const loop = this.#probe(startupProbe, true, (answer) => {
      if (!answer.ok) return this.#failForGood();
      loop.stop();
      this.#onStarted();
    });
  }

  #onStarted(): void {
    const { readinessProbe, livenessProbe } = this.#options.spec;
    this.#started = true;
    this.#ready = readinessProbe === undefined;
    if (readinessProbe !== undefined) {
      this.#probe(readinessProbe, true, (answer) => {
        if (this.#ready === answer.ok) return;
        this.#ready = answer.ok;
        this.#options.onChange();
      });
    }
    if (livenessProbe !== undefined) {
      this.#probe(livenessProbe, false, (answer) => {
        if (!answer.ok) this.#failForGood();
      });
    }
    this.#options.onChange();
  }

  #probe(spec: ProbeSpec, eager: boolean, onVerdict: (answer: ProbeAnswer) => void): ProbeLoop {
    const ask = (timeoutMs: number) => this.#options.ask(spec, timeoutMs);
    const onFailure = (message: string) => {
      this.#readinessFailure = message;
    };
    const loop = new ProbeLoop({ spec, eager, ask, onVerdict, onFailure });
    this.#probes.push(loop);
    return loop;
  }

  /** A container that is no longer alive is ended; its restart policy decides what then. */
  #failForGood(): void {
    this.#stopProbes();
    const seconds = this.#options.currentPod().spec?.terminationGracePeriodSeconds ?? 30;
    this.#terminate(seconds * 1000);
  }

  #stopProbes(): void {
    for (const probe of this.#probes) probe.stop();
    this.#probes = [];
  }
}

/** Why a program gave up, as far as its log tells: the last line that speaks of an error, else the last one. */
function lastWords(path: string): string | undefined {
  try {
    const lines = readEnd(path)
      .split('\n')
      .filter((line) => line.trim() !== '');
    return lines.findLast((line) => /error|fatal|panic/i.test(line)) ?? lines.at(-1);
  } catch {
    return undefined;
  }
}

function readEnd(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const length = Math.min(size, MESSAGE_BYTES);
    const bytes = Buffer.alloc(length);
    readSync(file, bytes, 0, length, size - length);
    return bytes.toString('utf8');
  } finally {
    closeSync(file);
  }
}
