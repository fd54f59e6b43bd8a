/** Looks up a host name and remembers the answer: the control plane stays reachable while the cluster's DNS is not. */

import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';

/** A nameserver that is there answers in milliseconds; the system's resolver gives up after ten seconds and more. */
const ANSWER_TIMEOUT_MS = 1500;

const log = logger('grpc');

/** How the system is asked, for all addresses. */
export type AskResolver = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export class RememberedLookup {
  readonly #ask: AskResolver;
  readonly #timeoutMs: number;
  readonly #known = new Map<string, readonly LookupAddress[]>();

  /** Other values than the defaults are for tests. */
  constructor(ask: AskResolver = lookup, timeoutMs: number = ANSWER_TIMEOUT_MS) {
    this.#ask = ask;
    this.#timeoutMs = timeoutMs;
  }

  /** For the option `lookup` of sockets: what DNS says, or what it said before when it says nothing in time. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const before = this.#known.get(hostname);
    let isAnswered = false;
    const answer = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]): void => {
      if (isAnswered) return;
      isAnswered = true;
      clearTimeout(timer);
      if (error !== null || addresses.length === 0) return callback(error, []);
      if (options.all === true) callback(null, [...addresses]);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    };
    const fallBack = (error: NodeJS.ErrnoException): void => {
      if (before === undefined) return answer(error, []);
      if (!isAnswered) log.warn('a name is used as it was last known', { hostname, error: messageOf(error) });
      answer(null, before);
    };
    const late = () => fallBack(new Error(`no answer from DNS within ${this.#timeoutMs} ms`));
    const timer = before === undefined ? undefined : setTimeout(late, this.#timeoutMs);
    this.#ask(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return fallBack(error);
      this.#known.set(hostname, addresses);
      answer(null, addresses);
    });
  };
}
