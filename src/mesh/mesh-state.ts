/** Everything a proxy knows of the mesh, indexed for the questions that connections ask. */

import type { IpAddress } from '../base/ip.ts';
import type { Authorization } from './authorization.ts';
import { compactAuthorization, compactWorkload } from './compact.ts';
import { namespacedHostname } from './gateway-address.ts';
import { Interner } from './interner.ts';
import { ChangeRecorder, type MeshChange } from './mesh-change.ts';
import { PolicyIndex } from './policy-index.ts';
import type { PolicySet } from './policy-set.ts';
import type { Service } from './service.ts';
import { preferredService, ServiceIndex } from './service-index.ts';
import type { Workload } from './workload.ts';
import { WorkloadIndex } from './workload-index.ts';

const NO_ENDPOINTS: readonly Workload[] = [];

/**
 * Look-ups and updates cost what the object at hand costs, however large the mesh is. Objects that come out are the
 * state's own copies: an update replaces them, it never changes them.
 */
export class MeshState {
  readonly #interner = new Interner();
  readonly #workloads = new WorkloadIndex();
  readonly #services = new ServiceIndex();
  readonly #policies = new PolicyIndex();
  readonly #listeners = new Set<(change: MeshChange) => void>();
  #recorder: ChangeRecorder | undefined;
  #version = 0;

  /** Counts updates; equal numbers mean that nothing has changed in between. */
  get version(): number {
    return this.#version;
  }

  get workloadCount(): number {
    return this.#workloads.size;
  }

  get serviceCount(): number {
    return this.#services.size;
  }

  get authorizationCount(): number {
    return this.#policies.size;
  }

  /** Calls the listener after every update, or once after all updates of one {@link batch}; returns how to stop that. */
  onChange(listener: (change: MeshChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Applies several updates as one change: listeners hear of it when the action is done, even if it throws. */
  batch(action: () => void): void {
    if (this.#recorder !== undefined) return action();
    const recorder = new ChangeRecorder();
    this.#recorder = recorder;
    try {
      action();
    } finally {
      this.#recorder = undefined;
      this.#notify(recorder);
    }
  }

  upsertWorkload(workload: Workload): void {
    this.#update((recorder) => {
      const after = compactWorkload(workload, this.#interner);
      const before = this.#workloads.upsert(after);
      for (const name of after.services.keys()) this.#services.setEndpoint(name, after);
      for (const name of before?.services.keys() ?? []) {
        if (!after.services.has(name)) this.#services.removeEndpoint(name, after.uid);
      }
      recorder?.recordWorkload(after.uid, before);
    });
  }

  upsertService(service: Service): void {
    this.#update(() => this.#services.upsert(service));
  }

  /** Removes the workload of this uid, or else the service of this `namespace/hostname`; unknown names are fine. */
  removeAddress(name: string): void {
    this.#update((recorder) => {
      const workload = this.#workloads.remove(name);
      if (workload === undefined) this.#services.remove(name);
      else {
        for (const service of workload.services.keys()) this.#services.removeEndpoint(service, name);
        recorder?.recordWorkload(name, workload);
      }
    });
  }

  upsertAuthorization(policy: Authorization): void {
    this.#update((recorder) => {
      const before = this.#policies.upsert(compactAuthorization(policy));
      recorder?.recordPolicy(before, policy);
    });
  }

  /** The name is `namespace/name`; an unknown one is fine. */
  removeAuthorization(name: string): void {
    this.#update((recorder) => {
      const before = this.#policies.remove(name);
      recorder?.recordPolicy(before, undefined);
    });
  }

  workloads(): MapIterator<Workload> {
    return this.#workloads.values();
  }

  services(): IteratorObject<Service> {
    return this.#services
      .records()
      .map((record) => record.service)
      .filter((service) => service !== undefined);
  }

  authorizations(): IteratorObject<Authorization> {
    return this.#policies.values();
  }

  /** Endpoints by `namespace/hostname` of services that nobody has sent (yet). */
  stagedServices(): ReadonlyMap<string, readonly Workload[]> {
    const staged = this.#services.records().filter((record) => record.service === undefined);
    return new Map(staged.map((record) => [record.name, [...record.endpoints.values()]]));
  }

  workloadByUid(uid: string): Workload | undefined {
    return this.#workloads.get(uid);
  }

  /** HOST_NETWORK workloads are not found by address, which they share with their node. */
  workloadByAddress(network: string, ip: IpAddress): Workload | undefined {
    return this.#workloads.byAddress(network, ip);
  }

  /** A workload without addresses that is known by a host name. */
  workloadByHostname(namespace: string, hostname: string): Workload | undefined {
    return this.#workloads.byHostname(namespace, hostname);
  }

  /** By `namespace/hostname`. */
  serviceByName(name: string): Service | undefined {
    return this.#services.get(name)?.service;
  }

  /** As a client of that namespace would resolve the host name; without a namespace visibility is not looked at. */
  serviceByHostname(hostname: string, clientNamespace?: string): Service | undefined {
    return preferredService(this.#services.withHostname(hostname), clientNamespace)?.service;
  }

  /** As a client of that namespace would reach the address; without a namespace visibility is not looked at. */
  serviceByVip(network: string, ip: IpAddress, clientNamespace?: string): Service | undefined {
    return this.#services.byVip(network, ip, clientNamespace)?.service;
  }

  /** Endpoints that its health policy lets the service use. */
  endpointsOf(service: Service): readonly Workload[] {
    return this.#services.get(namespacedHostname(service))?.eligibleEndpoints() ?? NO_ENDPOINTS;
  }

  /** How many endpoints a service has, whatever their health. */
  endpointCount(service: Service): number {
    return this.#services.get(namespacedHostname(service))?.endpoints.size ?? 0;
  }

  /** What {@link evaluate} decides by; valid until the next update. */
  policiesFor(workload: Workload): PolicySet {
    return this.#policies.policiesFor(workload);
  }

  /** For the resolution modules of this folder. */
  get serviceIndex(): ServiceIndex {
    return this.#services;
  }

  #update(action: (recorder: ChangeRecorder | undefined) => void): void {
    this.#version++;
    if (this.#listeners.size === 0) return action(undefined);
    if (this.#recorder !== undefined) return action(this.#recorder);
    const recorder = new ChangeRecorder();
    action(recorder);
    this.#notify(recorder);
  }

  #notify(recorder: ChangeRecorder): void {
    if (this.#listeners.size === 0) return;
    const change = recorder.finish((uid) => this.#workloads.get(uid));
    for (const listener of this.#listeners) listener(change);
  }
}
