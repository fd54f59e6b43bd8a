/** What only one replica of the control plane does at a time: status, addresses, Events, and the roots in every namespace. */

import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { KubeClient } from '../../kube/kube-client.ts';
import { LeaseElection } from '../../kube/lease-election.ts';
import type { ObjectSource } from '../../objects/object-source.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { MeshController } from '../mesh-controller.ts';
import { ObjectEvents } from './object-events.ts';
import { RootConfigMaps, type RootWriteCounters } from './root-config-maps.ts';
import { RootTrustBundle } from './root-trust-bundle.ts';

export const LEASE_NAME = 'ambit-controlplane';

export interface LeadershipOptions {
  readonly client: KubeClient;
  readonly source: ObjectSource;
  readonly recorder: EventRecorder;
  readonly namespace: string;
  /** Unique among the replicas. */
  readonly identity: string;
  /** Field manager of what this process writes. */
  readonly writer: string;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #election: LeaseElection;
  /** Of all times that this replica has led. */
  readonly rootWrites: RootWriteCounters = { done: 0, failed: 0, deferred: 0 };
  #authority: CertificateAuthority | undefined;
  #controller: MeshController | undefined;
  #stopped = false;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    const { client, namespace, identity } = options;
    const onLead = (signal: AbortSignal) => this.#lead(signal);
    this.#election = new LeaseElection({ client, namespace, name: LEASE_NAME, identity, onLead });
  }

  get isLeader(): boolean {
    return this.#election.isLeader;
  }

  /** Name of the replica that leads, as far as this one knows. */
  get holder(): string {
    return this.#election.holder;
  }

  /** From now on these roots are published whenever this process leads. */
  publishRootsOf(authority: CertificateAuthority): void {
    this.#authority = authority;
  }

  /** Takes part in the election from now on. */
  start(controller: MeshController): void {
    this.#controller = controller;
    this.#election.start();
  }

  /** Hands over to another replica. Safe to call twice. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#election.stop();
  }

  #lead(signal: AbortSignal): void {
    const controller = this.#controller;
    if (controller !== undefined) {
      const events = new ObjectEvents({ ...this.#options, controller });
      events.start();
      controller.startWriting();
      whenAborted(signal, () => {
        controller.stopWriting();
        events.stop();
      });
    }
    if (this.#authority !== undefined) this.#publishRoots(this.#authority, signal);
  }

  #publishRoots(authority: CertificateAuthority, signal: AbortSignal): void {
    const options = { ...this.#options, roots: () => authority.trustBundle.pem, counters: this.rootWrites };
    const configMaps = new RootConfigMaps(options);
    const trustBundle = new RootTrustBundle(options);
    configMaps.start();
    trustBundle.start();
    const stopListening = authority.onChange(() => {
      configMaps.publish();
      trustBundle.publish();
    });
    whenAborted(signal, () => {
      stopListening();
      void configMaps.stop();
      trustBundle.stop();
    });
  }
}

function whenAborted(signal: AbortSignal, act: () => void): void {
  signal.addEventListener('abort', act, { once: true });
}
