/** What a decision costs in a large mesh: the same calls that a connection makes, without a connection. */

import { chooseEndpoint } from '../../../../src/mesh/endpoint-choice.ts';
import { MeshState } from '../../../../src/mesh/mesh-state.ts';
import { evaluate } from '../../../../src/mesh/policy-evaluation.ts';
import { type PolicyConnection, policySourceOf } from '../../../../src/mesh/policy-subject.ts';
import type { ServiceRecord } from '../../../../src/mesh/service-record.ts';
import { identityOf, type Workload } from '../../../../src/mesh/workload.ts';
import { type MeshSize, SyntheticMesh } from './synthetic-mesh.ts';

export const DECISION_SIZE: MeshSize = { workloads: 100_000, services: 10_000, policies: 10_000 };
export const DECISION_IDS = ['decision.policy', 'decision.endpoint', 'decision.vip'] as const;

/** Different questions, asked in turn: caches of processor and program see them as a busy node would. */
const QUESTIONS = 4096;
/** Clients are the pods of a node. */
const CLIENTS = 200;
const CALLS = 200_000;
const MICROSECONDS_PER_MS = 1000;

export class DecisionMeasures {
  readonly #mesh: SyntheticMesh;
  readonly #state = new MeshState();
  readonly #workloads: readonly Workload[];
  readonly #records: readonly ServiceRecord[];
  /** From as many peers, whose TLS connections are open: what a peer's first connection costs is not asked. */
  readonly #connections: readonly PolicyConnection[];
  /** Answers of the last round; counted also so that no call is compiled away. */
  allowed = 0;
  endpointsChosen = 0;
  servicesFound = 0;
  /** Calls of each kind in a round. */
  readonly asked = CALLS;

  constructor(size: MeshSize = DECISION_SIZE) {
    this.#mesh = new SyntheticMesh(size);
    this.#state.batch(() => {
      for (const one of this.#mesh.services()) this.#state.upsertService(one);
      for (const one of this.#mesh.workloads()) this.#state.upsertWorkload(one);
      for (const one of this.#mesh.policies()) this.#state.upsertAuthorization(one);
    });
    this.#workloads = questions(
      (i) => this.#state.workloadByAddress('', this.#mesh.addressOf(scattered(i)))!,
    );
    this.#records = questions(
      (i) => this.#state.serviceIndex.byVip('', this.#mesh.vipOf(scattered(i)), undefined)!,
    );
    this.#connections = questions((i) => {
      const source = this.#workloads[i]!;
      return {
        source: policySourceOf(identityOf(source)),
        sourceIp: source.addresses[0]!,
        destinationIp: this.#destination(i).addresses[0]!,
        destinationPort: 8080,
      };
    });
  }

  /** µs per decision, one after another: a round of each. */
  round(): Readonly<Record<(typeof DECISION_IDS)[number], number>> {
    return {
      'decision.policy': this.#policy(),
      'decision.endpoint': this.#endpoint(),
      'decision.vip': this.#vip(),
    };
  }

  #policy(): number {
    this.allowed = 0;
    return perCall((i) => {
      const policies = this.#state.policiesFor(this.#destination(i));
      if (evaluate(policies, this.#connections[i]!).allowed) this.allowed++;
    });
  }

  #destination(question: number): Workload {
    return this.#workloads[(question * 31 + 7) % QUESTIONS]!;
  }

  #endpoint(): number {
    this.endpointsChosen = 0;
    return perCall((i) => {
      const source = this.#workloads[i % CLIENTS]!;
      const query = { source, port: 80, purpose: 'destination', random: Math.random } as const;
      if (chooseEndpoint(this.#records[i]!, query) !== undefined) this.endpointsChosen++;
    });
  }

  #vip(): number {
    const vips = questions((i) => this.#mesh.vipOf(scattered(i)));
    this.servicesFound = 0;
    return perCall((i) => {
      if (this.#state.serviceByVip('', vips[i]!, 'team-1') !== undefined) this.servicesFound++;
    });
  }
}

function perCall(call: (question: number) => void): number {
  const startMs = performance.now();
  for (let i = 0; i < CALLS; i++) call(i % QUESTIONS);
  return ((performance.now() - startMs) * MICROSECONDS_PER_MS) / CALLS;
}

function questions<T>(make: (index: number) => T): readonly T[] {
  return Array.from({ length: QUESTIONS }, (_, i) => make(i));
}

/** Far apart for neighbours. */
function scattered(index: number): number {
  return index * 7919;
}
