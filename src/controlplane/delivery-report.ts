/** What connected clients refuse, told to the objects concerned for as long as they refuse it. */

import { type ObjectReference, objectKey } from '../objects/object-source.ts';
import type { SubscriptionStatus } from '../xds/delta-session.ts';
import type { DesiredCondition } from './compile/desired-condition.ts';

/** How often a refusal is looked at again: the client may have gone, or have taken a later state. */
const CHECK_MS = 1000;
/** Clients named in one message; the rest are counted. */
const MAX_NAMED_CLIENTS = 3;

/** The part of a client's state that matters here. */
export interface ReportingClient {
  readonly nodeId: string;
  readonly subscriptions: readonly Pick<SubscriptionStatus, 'typeUrl' | 'rejected'>[];
}

export interface DeliveryReportOptions {
  readonly clients: () => readonly ReportingClient[];
  /** The object that a resource was compiled from. */
  readonly originOf: (typeUrl: string, name: string) => ObjectReference | undefined;
  /** Takes a condition for each object of which some client refuses a resource, by object key. */
  readonly report: (conditions: ReadonlyMap<string, DesiredCondition>) => void;
}

export class DeliveryReport {
  readonly #options: DeliveryReportOptions;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DeliveryReportOptions) {
    this.#options = options;
  }

  /** A client has refused something. */
  noteRefusal(): void {
    this.#checkAfter(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #checkAfter(delayMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), delayMs).unref();
  }

  #check(): void {
    const conditions = deliveryConditions(this.#options);
    this.#options.report(conditions);
    if (conditions.size > 0) this.#checkAfter(CHECK_MS);
  }
}

interface Refusal {
  readonly name: string;
  readonly reason: string;
  readonly clients: Set<string>;
}

function deliveryConditions(options: DeliveryReportOptions): ReadonlyMap<string, DesiredCondition> {
  const refusals = new Map<string, Refusal>();
  for (const { nodeId, subscriptions } of options.clients()) {
    for (const { typeUrl, rejected } of subscriptions) {
      for (const { name, reason } of rejected) {
        const origin = options.originOf(typeUrl, name);
        if (origin === undefined) continue;
        const key = objectKey(origin);
        const refusal = refusals.get(key) ?? { name, reason, clients: new Set() };
        refusal.clients.add(nodeId);
        refusals.set(key, refusal);
      }
    }
  }
  return new Map([...refusals].map(([key, refusal]) => [key, conditionOf(refusal)]));
}

function conditionOf({ name, reason, clients }: Refusal): DesiredCondition {
  const named = [...clients].sort().slice(0, MAX_NAMED_CLIENTS).join(', ');
  const more = clients.size > MAX_NAMED_CLIENTS ? ` and ${clients.size - MAX_NAMED_CLIENTS} more` : '';
  return {
    type: 'ambit.io/Delivered',
    status: 'False',
    reason: 'Rejected',
    message: `${name} is refused by ${named}${more}: ${reason}`,
  };
}
