/** A service with its endpoints, or the endpoints of a service that is not known yet. */

import { formatSpiffeId, parseSpiffeId } from '../base/spiffe-id.ts';
import type { PortChoices } from './endpoint-list.ts';
import type { Service } from './service.ts';
import type { Workload } from './workload.ts';

const NO_IDENTITIES: readonly string[] = [];

/**
 * Endpoints are staged in the same record before their service arrives, and stay when it goes: control planes
 * promise no order. What is derived from service and endpoints is cached here until either changes.
 */
export class ServiceRecord {
  /** `namespace/hostname`. */
  readonly name: string;
  /** By workload uid, whatever their health. */
  readonly #endpoints = new Map<string, Workload>();
  #service: Service | undefined;
  #identities = NO_IDENTITIES;
  #eligible: readonly Workload[] | undefined;
  #choices: Map<number, PortChoices> | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Undefined while the endpoints are only staged. */
  get service(): Service | undefined {
    return this.#service;
  }

  set service(service: Service | undefined) {
    this.#service = service;
    this.#identities = service === undefined ? NO_IDENTITIES : validIdentities(service.subjectAltNames);
    this.#forget();
  }

  /** The service's subjectAltNames that are SPIFFE IDs; others can never match a peer and are ignored. */
  get identities(): readonly string[] {
    return this.#identities;
  }

  get isEmpty(): boolean {
    return this.#service === undefined && this.#endpoints.size === 0;
  }

  get endpoints(): ReadonlyMap<string, Workload> {
    return this.#endpoints;
  }

  setEndpoint(workload: Workload): void {
    this.#endpoints.set(workload.uid, workload);
    this.#forget();
  }

  deleteEndpoint(uid: string): void {
    this.#endpoints.delete(uid);
    this.#forget();
  }

  /** The endpoints that may be used as far as their health goes. */
  eligibleEndpoints(): readonly Workload[] {
    this.#eligible ??= [...this.#endpoints.values()].filter((workload) => this.#accepts(workload));
    return this.#eligible;
  }

  /** Cached choices of endpoints for a key that endpoint-choice.ts makes. */
  choices(key: number): PortChoices | undefined {
    return this.#choices?.get(key);
  }

  setChoices(key: number, choices: PortChoices): void {
    this.#choices ??= new Map();
    this.#choices.set(key, choices);
  }

  #accepts(workload: Workload): boolean {
    return workload.status === 'HEALTHY' || this.#service?.loadBalancing?.healthPolicy === 'ALLOW_ALL';
  }

  #forget(): void {
    this.#eligible = undefined;
    this.#choices = undefined;
  }
}

function validIdentities(names: readonly string[]): readonly string[] {
  const parsed = names.map(parseSpiffeId).filter((id) => id !== undefined);
  return parsed.length === 0 ? NO_IDENTITIES : parsed.map(formatSpiffeId);
}
