/** A connection as policies see it, prepared once for however many policies look at it. */

import type { IpAddress } from '../base/ip.ts';
import type { SpiffeId } from '../base/spiffe-id.ts';
import { type IpWords, ipWords } from './ip-words.ts';

/** The facts of a connection that policies can name. */
export interface PolicyConnection {
  /** Of the peer's verified certificate; absent for plaintext. */
  readonly source?: PolicySource | undefined;
  /** The address of the TCP peer: behind a waypoint that is the waypoint's. */
  readonly sourceIp: IpAddress;
  /** The address of the pod. */
  readonly destinationIp: IpAddress;
  /** The port of the pod, after any service port was translated. */
  readonly destinationPort: number;
}

/** An identity in the words of policies. */
export interface PolicySource {
  readonly identity: SpiffeId;
  /** SPIFFE ID without the scheme. */
  readonly principal: string;
  readonly namespace: string;
  /** `namespace/serviceAccount`. */
  readonly serviceAccount: string;
}

/**
 * To be made once for a peer: what is put together anew for each of its connections has to be hashed anew as well, which
 * takes longer than all other steps of a decision.
 */
export function policySourceOf(identity: SpiffeId): PolicySource {
  const { trustDomain, namespace, serviceAccount } = identity;
  return {
    identity,
    principal: `${trustDomain}/ns/${namespace}/sa/${serviceAccount}`,
    namespace,
    serviceAccount: `${namespace}/${serviceAccount}`,
  };
}

export class PolicySubject {
  /** SPIFFE ID without the scheme; empty without identity, which no principal ever is. */
  readonly principal: string;
  /** Empty without identity. */
  readonly namespace: string;
  /** `namespace/serviceAccount`; empty without identity. */
  readonly serviceAccount: string;
  readonly sourceIp: IpAddress;
  readonly destinationPort: number;
  readonly #destinationIp: IpAddress;
  #sourceWords: IpWords | undefined;
  #destinationWords: IpWords | undefined;

  constructor(connection: PolicyConnection) {
    const { source } = connection;
    this.principal = source === undefined ? '' : source.principal;
    this.namespace = source === undefined ? '' : source.namespace;
    this.serviceAccount = source === undefined ? '' : source.serviceAccount;
    this.sourceIp = connection.sourceIp;
    this.destinationPort = connection.destinationPort;
    this.#destinationIp = connection.destinationIp;
  }

  get sourceWords(): IpWords {
    this.#sourceWords ??= ipWords(this.sourceIp);
    return this.#sourceWords;
  }

  get destinationWords(): IpWords {
    this.#destinationWords ??= ipWords(this.#destinationIp);
    return this.#destinationWords;
  }
}
