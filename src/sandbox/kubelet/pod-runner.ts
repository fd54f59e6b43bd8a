/** One pod on its node, from its creation to its end. */

import { join } from 'node:path';
import { Backoff } from '../../base/backoff.ts';
import { messageOf } from '../../base/errors.ts';
import type { IpAddress, IpFamily } from '../../base/ip.ts';
import { logger } from '../../telemetry/log.ts';
import type { StoredPod } from '../api/kube-object.ts';
import { now, type ObjectStore } from '../api/object-store.ts';
import type { NodeNetwork } from '../network/node-network.ts';
import { ContainerRunner } from './container-runner.ts';
import type { NodeLocalProcess } from './node-local-process.ts';
import { askContainer } from './pod-prober.ts';
import { PodSandbox } from './pod-sandbox.ts';
import { podStatus } from './pod-status.ts';

const log = logger('kubelet');

/** Told of a new pod before its containers start; a rejection holds the pod up, and it is told again. */
export interface PodAdmission {
  admit(pod: StoredPod, netnsFile: string, ips: readonly IpAddress[]): Promise<void>;
}

export interface PodEnvironment {
  readonly store: ObjectStore;
  readonly node: NodeNetwork;
  readonly local: NodeLocalProcess;
  readonly families: readonly IpFamily[];
  readonly admission: PodAdmission;
  /** Folder of the sandbox. */
  readonly state: string;
}

/** The kubelet tries again after seconds; here it is the agent's start that is most often waited for. */
const RETRY_BACKOFF = { minMs: 100, maxMs: 1000 };

export class PodRunner {
  readonly #environment: PodEnvironment;
  readonly #containers: readonly ContainerRunner[];
  readonly #startTime = now();
  readonly #stopRequested: Promise<void>;
  readonly #finished: Promise<void>;
  #requestStop: () => void = () => {};
  /** All containers have ended, and none of them is to be started again. */
  #over = false;
  #onOver: () => void = () => {};
  #pod: StoredPod;
  #sandbox: PodSandbox | undefined;
  #stopping = false;
  #graceMs = 0;

  constructor(environment: PodEnvironment, pod: StoredPod) {
    this.#environment = environment;
    this.#pod = pod;
    this.#containers = (pod.spec?.containers ?? []).map((spec) => this.#createContainer(spec));
    this.#stopRequested = new Promise((resolve) => {
      this.#requestStop = resolve;
    });
    this.#finished = this.#run();
  }

  get pod(): StoredPod {
    return this.#pod;
  }

  get containers(): readonly ContainerRunner[] {
    return this.#containers;
  }

  get sandbox(): PodSandbox | undefined {
    return this.#sandbox;
  }

  /** Takes over what has changed of the object. */
  update(pod: StoredPod): void {
    this.#pod = pod;
  }

  async restart(graceMs: number): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.restart(graceMs)));
  }

  /** Ends the pod; resolves when nothing of it is left. A second call can shorten the time. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#graceMs = graceMs;
    this.#requestStop();
    const stops = this.#containers.map((container) => container.stop(graceMs));
    await Promise.all([...stops, this.#finished]);
  }

  #createContainer(spec: ConstructorParameters<typeof ContainerRunner>[0]['spec']): ContainerRunner {
    const { local, state } = this.#environment;
    const { name, namespace } = this.#pod.metadata;
    const prober = {
      pod: () => this.#pod,
      enter: () => this.#sandbox?.holder.enter() ?? [],
      fromNode: local.probe.bind(local),
    };
    return new ContainerRunner({
      spec,
      logFile: join(state, 'logs', `${namespace}_${name}_${spec.name}.log`),
      currentPod: () => this.#pod,
      ask: (probe, timeoutMs) => askContainer(prober, spec, probe, timeoutMs),
      onChange: () => this.#publish(),
    });
  }

  /** A pod whose namespaces were taken from it gets new ones, and its containers start anew. */
  async #run(): Promise<void> {
    // The constructor must have ended before anything is published.
    await Promise.resolve();
    while (!this.#stopping) {
      const sandbox = await this.#prepare();
      if (sandbox === undefined) break;
      const over = new Promise<void>((resolve) => {
        this.#onOver = resolve;
      });
      for (const container of this.#containers) container.start(sandbox.holder.enter());
      await Promise.race([sandbox.holder.ended, this.#stopRequested, over]);
      await Promise.all(this.#containers.map((container) => container.stop(this.#graceMs)));
      await this.#removeSandbox();
      if (this.#over) break;
    }
    await this.#removeSandbox();
  }

  /** Undefined when the pod is to be ended before it was ready to start. */
  async #prepare(): Promise<PodSandbox | undefined> {
    const backoff = new Backoff(RETRY_BACKOFF);
    while (!this.#stopping) {
      try {
        this.#sandbox ??= await PodSandbox.create(this.#sandboxOptions());
        this.#publish();
        await this.#admit(this.#sandbox);
        return this.#stopping ? undefined : this.#sandbox;
      } catch (thrown) {
        this.#say(messageOf(thrown));
        await Promise.race([delay(backoff.next()), this.#stopRequested]);
        if (this.#sandbox?.holder.alive === false) await this.#removeSandbox();
      }
    }
    return undefined;
  }

  #sandboxOptions() {
    const { node, families, state } = this.#environment;
    const { uid } = this.#pod.metadata;
    const netnsFolder = join(state, 'netns', node.name);
    return { pod: this.#pod, node, families, folder: join(state, 'pods', uid), netnsFolder };
  }

  async #admit(sandbox: PodSandbox): Promise<void> {
    if (sandbox.netnsFile === undefined) return;
    await this.#environment.admission.admit(this.#pod, sandbox.netnsFile, sandbox.ips);
  }

  #say(message: string): void {
    const { name, namespace } = this.#pod.metadata;
    log.warn('a pod cannot start yet', { pod: `${namespace}/${name}`, reason: message });
    for (const container of this.#containers) container.setWaiting(message);
  }

  async #removeSandbox(): Promise<void> {
    const sandbox = this.#sandbox;
    this.#sandbox = undefined;
    await sandbox?.remove();
  }

  #publish(): void {
    const facts = {
      hostIps: this.#environment.node.ips,
      ips: this.#sandbox?.ips ?? [],
      startTime: this.#startTime,
      containers: this.#containers.map((container) => container.status()),
    };
    if (this.#over) return;
    this.#environment.store.update(this.#pod, (current) => {
      const status = podStatus(current as StoredPod, facts);
      this.#over = status.phase === 'Succeeded' || status.phase === 'Failed';
      const pod = { ...current, status };
      this.#pod = pod as StoredPod;
      return pod;
    });
    if (this.#over) this.#onOver();
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
