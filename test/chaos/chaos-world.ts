/** Two nodes with the whole mesh under load, in namespaces of their own, and the handles that faults are made with. */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment, PodFacts } from '../../src/sandbox/client/environment.ts';
import type { MeshComponent } from '../../src/sandbox/client/sandbox-protocol.ts';
import { TCP_PORT } from '../support/mesh-manifests.ts';
import { until } from '../support/sandbox-commands.ts';
import { SandboxSession } from '../support/sandbox-session.ts';
import {
  NODES,
  type NodeName,
  type Pair,
  pairsOf,
  TWO_PODS_MANIFESTS,
  TWO_PODS_NAMESPACE,
} from '../support/two-pods.ts';
import { type Segment, WireCapture } from '../support/wire-capture.ts';
import { misledProcesses } from './clock-readings.ts';
import { byClockOf, clockShift, shiftedBy } from './shifted-clock.ts';
import { Traffic } from './traffic.ts';
import type { TrafficPlan } from './traffic-main.ts';
import { OffTheMesh } from './wire-watch.ts';

const LOAD = { streams: 6, replaceAfterMs: 100, chunksPerTick: 1, callIntervalMs: 60 } as const;
/** Freed last: a full disk has no room for a note either. */
const BALLAST = 'ballast';
const BALLAST_CHUNK = Buffer.alloc(64 * 1024, 'x');

/** Those who go by one clock: the proxies, or the control plane and the node agents. */
export const CLOCKS = ['proxies', 'control'] as const;
export type Clock = (typeof CLOCKS)[number];

export class ChaosWorld {
  readonly session: SandboxSession;
  readonly traffic: readonly Traffic[];
  readonly wire: OffTheMesh;
  readonly #capture: WireCapture;
  readonly #hoursOff: Record<Clock, number> = { proxies: 0, control: 0 };

  /** Resolves when traffic flows both ways. */
  static async start(): Promise<ChaosWorld> {
    for (const clock of CLOCKS) writeFileSync(fileOf(clock), clockShift(0));
    const ztunnel = `${byClockOf(fileOf('proxies'))} exec ambit ztunnel`;
    const up = [
      ...shiftedBy(fileOf('control')).flatMap((one) => ['--mesh-env', one]),
      ...NODES.flatMap((node) => ['--ztunnel', `${node}=${ztunnel}`]),
    ];
    const session = await SandboxSession.start({ name: 'chaos', manifests: TWO_PODS_MANIFESTS, up });
    try {
      await session.enrolled(TWO_PODS_NAMESPACE);
      return await ChaosWorld.#load(session);
    } catch (thrown) {
      await session.dispose();
      throw thrown;
    }
  }

  static async #load(session: SandboxSession): Promise<ChaosWorld> {
    const facts = await session.facts();
    const pairs = pairsOf(facts);
    const wire = new OffTheMesh(pairs.flatMap(({ from }) => from.ips));
    const onSegment = (segment: Segment) => wire.see(segment);
    // The bridge's end of the cable: it stays when the node's end has no carrier.
    const capture = await WireCapture.start(facts.daemon.enter, NODES[0], onSegment);
    const traffic = pairs.map((pair) => trafficOf(pair, LOAD));
    for (const one of traffic) one.order('go');
    return new ChaosWorld(session, { traffic, wire, capture });
  }

  private constructor(
    session: SandboxSession,
    parts: {
      readonly traffic: readonly Traffic[];
      readonly wire: OffTheMesh;
      readonly capture: WireCapture;
    },
  ) {
    this.session = session;
    this.traffic = parts.traffic;
    this.wire = parts.wire;
    this.#capture = parts.capture;
  }

  get isWatched(): boolean {
    return this.#capture.runs;
  }

  async dispose(): Promise<void> {
    for (const one of this.traffic) one.stop();
    this.#capture.stop();
    await this.session.dispose();
    for (const clock of CLOCKS) rmSync(fileOf(clock), { force: true });
  }

  /** The number of a process as the machine knows it. */
  async pidOf(component: MeshComponent, node: NodeName = 'node1'): Promise<number> {
    const environment = await this.session.facts();
    const found = environment.nodes.find(({ name }) => name === node)!;
    const facts = component === 'controlplane' ? environment.controlPlane!.process! : found[component]!;
    if (facts.pid === undefined) throw new Error(`${component} of ${node} does not run`);
    return facts.pid;
  }

  async kill(component: MeshComponent, node?: NodeName): Promise<void> {
    process.kill(await this.pidOf(component, node), 'SIGKILL');
  }

  /** SIGTERM, as a rolling restart sends it, and the next one started when it has ended. */
  async restart(component: MeshComponent, node?: NodeName): Promise<void> {
    await this.session.client.call('restart', { component, ...(node !== undefined && { node }) });
  }

  /** Stops a process for as long as something takes; its clocks go on meanwhile. */
  async whileStopped(pid: number, action: () => Promise<void>): Promise<void> {
    process.kill(pid, 'SIGSTOP');
    try {
      await action();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }

  /** By how much these are off from now on; resolves when every process says that it goes by it, the others by theirs. */
  async shiftClocks(clocks: readonly Clock[], hours: number): Promise<void> {
    for (const clock of clocks) {
      writeFileSync(fileOf(clock), clockShift(hours));
      this.#hoursOff[clock] = hours;
    }
    await this.clocksSeen();
  }

  /** @throws when a process goes by another time of day than it is to */
  async clocksSeen(): Promise<void> {
    let misled: readonly string[] = [];
    const agree = async () => {
      misled = await misledProcesses(
        await this.facts(),
        (node) => this.session.callerOn(node),
        this.#hoursOff,
      );
      return misled.length === 0;
    };
    await until('every process goes by its clock', agree).catch((thrown: Error) => {
      throw new Error(`${thrown.message}: ${misled.join(', ')}`);
    });
  }

  /** A connection through the mesh that is not of the load. */
  async strayStream(): Promise<Traffic> {
    const [pair] = pairsOf(await this.facts());
    return trafficOf(pair!, { ...LOAD, streams: 1 });
  }

  /** Fills the file system that holds state and logs of everything, to the last byte. */
  async whileDiskFull(action: () => Promise<void>): Promise<void> {
    const path = join(process.env.TMPDIR ?? '/tmp', BALLAST);
    const file = openSync(path, 'w');
    try {
      fill(file);
      await action();
    } finally {
      closeSync(file);
      rmSync(path);
    }
  }

  /** Kills every process of the mesh and of applications on a node. */
  async killAllOn(node: NodeName): Promise<void> {
    const { pods } = await this.session.facts();
    for (const pod of pods.filter((one) => one.node === node)) killContainers(pod);
  }

  /** Pulls the node's cable, or plugs it in again. */
  async cable(node: NodeName, state: 'up' | 'down'): Promise<void> {
    this.run((await this.session.facts()).daemon.enter, ['ip', 'link', 'set', node, state]);
  }

  /** Runs a command that must succeed. */
  run(inside: readonly string[], command: readonly string[], input = ''): string {
    const [program, ...args] = [...inside, ...command];
    const { status, stdout, stderr } = spawnSync(program!, args, { encoding: 'utf8', input });
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
    return stdout;
  }

  facts(): Promise<Environment> {
    return this.session.facts();
  }
}

function fileOf(clock: Clock): string {
  return join(process.env.TMPDIR ?? '/tmp', `clock-${clock}`);
}

function trafficOf({ from, to }: Pair, load: Omit<TrafficPlan, 'host' | 'port'>): Traffic {
  return new Traffic(from.node, from.enter!, { host: to.ips[0]!, port: TCP_PORT, ...load });
}

function killContainers({ containers }: PodFacts): void {
  for (const { pid } of containers) if (pid !== undefined) process.kill(pid, 'SIGKILL');
}

function fill(file: number): void {
  for (let size = BALLAST_CHUNK.length; size > 0; ) {
    try {
      writeSync(file, BALLAST_CHUNK, 0, size);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
      size = Math.floor(size / 2);
    }
  }
}
