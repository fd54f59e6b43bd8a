/** Two nodes for the drills: one is attacked, the other one's well-behaved pod calls a neighbour of the victim. */

import { setTimeout as delay } from 'node:timers/promises';
import { type CertificateAuthority, type Leaf, makeLeaf, makeRoot } from '../support/certificates.ts';
import type { Target } from '../support/hostile-peer.ts';
import { serviceOf, workloadOf } from '../support/mesh-node.ts';
import { type LivePod, MeshPods } from '../support/mesh-pods.ts';
import { sh } from '../support/pod-namespace.ts';
import { NodeProcess } from './node-process.ts';
import { Pacer } from './pacer.ts';
import { goFirst, goFirstAsNode, standBack } from './precedence.ts';

export const APP_PORT = 8080;
/** What asks for a tunnel to the victim's application. */
export const TUNNEL = [
  [':method', 'CONNECT'],
  [':authority', `10.0.0.2:${APP_PORT}`],
] as const;
/** Of the neighbour's client, as the issue of it all is put: p99 at this rate. */
const CALLS_PER_SECOND = 200;
/** What the neighbour's connections, caches and heaps need until they are as they stay. */
const WARM_UP_MS = 2000;
const REACTORS = 2;
/** Where this process is: a pod of the mesh that has been taken over. */
export const OWN_ADDRESS = '10.0.0.9';
/** As if there were more of them: so many that one pod's limit is reached before that of each peer. */
export const MORE_ADDRESSES = ['10.0.0.10', '10.0.0.11', '10.0.0.12', '10.0.0.13', '10.0.0.14'];
/** A name of the mesh that pods may ask for. */
const DB = serviceOf('db', 'shop', ['10.96.0.1'], { 5432: 5432 });

/** Pods of the attacked node: the victim, its neighbour, and one that turns against its own proxy. */
export interface Scene {
  readonly victim: LivePod;
  readonly neighbour: LivePod;
  readonly flooder: LivePod;
}

export class AttackWorld {
  readonly scene: Scene;
  readonly node: NodeProcess;
  readonly pacer: Pacer;
  readonly authority: CertificateAuthority;
  /** Of whoever is at {@link OWN_ADDRESS}. */
  readonly attacker: Leaf;
  readonly hbone: Target = { host: '10.0.0.2', port: 15008 };
  readonly #victimApp: Pacer;
  /** What the neighbour's calls pass beside the attacked node. */
  readonly #elsewhere: readonly (NodeProcess | Pacer)[];

  private constructor(
    parts: Pick<AttackWorld, 'scene' | 'node' | 'pacer' | 'authority'>,
    victimApp: Pacer,
    elsewhere: readonly (NodeProcess | Pacer)[],
  ) {
    this.scene = parts.scene;
    this.node = parts.node;
    this.pacer = parts.pacer;
    this.authority = parts.authority;
    this.attacker = makeLeaf(parts.authority, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/attacker' });
    this.#victimApp = victimApp;
    this.#elsewhere = [...elsewhere, parts.pacer];
  }

  /**
   * Resolves when the neighbour is being called.
   * @param congestionControl of all connections; the machine's when left out
   */
  static async start(congestionControl?: string): Promise<AttackWorld> {
    const authority = makeRoot('mesh root');
    const pods = new MeshPods();
    const client = pods.make('client', 1);
    const scene = {
      victim: pods.make('victim', 2),
      neighbour: pods.make('neighbour', 3),
      flooder: pods.make('flooder', 4),
    };
    pods.attachSelf(9, MORE_ADDRESSES);
    const attacked = Object.values(scene);
    if (congestionControl !== undefined) setCongestionControl(congestionControl, [client, ...attacked]);
    await pods.redirect(client, ...attacked);
    const workloads = [client, ...attacked].map((pod) => workloadOf(pod));
    const plan = {
      authority,
      workloads,
      services: [DB],
      reactors: REACTORS,
      drainDeadlineMs: 0,
      nameservers: [OWN_ADDRESS],
    };
    const far = await NodeProcess.start({ ...plan, pods: [client] });
    const node = await NodeProcess.start({ ...plan, pods: attacked });
    const victimApp = await Pacer.serve(scene.victim, APP_PORT);
    const neighbourApp = await Pacer.serve(scene.neighbour, APP_PORT);
    const pacer = await Pacer.call(client, { host: '10.0.0.3', port: APP_PORT }, CALLS_PER_SECOND);
    await delay(WARM_UP_MS);
    return new AttackWorld({ scene, node, pacer, authority }, victimApp, [far, neighbourApp]);
  }

  /**
   * For drills whose times are judged. From now on attackers run when nobody else wants to, and so does the victim's
   * application: that it is called too often is its own trouble. The neighbour's client, its application and their node run
   * as if each had a core of its own, and the attacked node before all other programs. False when that is not permitted.
   */
  setPrecedence(): boolean {
    for (const pid of [process.pid, this.#victimApp.pid]) standBack(pid);
    const elsewhere = this.#elsewhere.map(({ pid }) => goFirst(pid, 3));
    return [...elsewhere, goFirstAsNode(this.node.pid, { reactors: 2, others: 1 })].every(Boolean);
  }

  close(): void {
    for (const one of [this.node, this.#victimApp, ...this.#elsewhere]) one.kill();
  }
}

/** In these pods, and where this process is. */
function setCongestionControl(name: string, pods: readonly LivePod[]): void {
  const command = `sysctl -q -w net.ipv4.tcp_congestion_control=${name}`;
  sh(command);
  for (const { netns } of pods) netns.run(command);
}
