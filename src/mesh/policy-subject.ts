/** A connection as policies see it, prepared once for however many policies look at it. */

import type { IpAddress } from '../base/ip.ts';
import type { SpiffeId } from '../base/spiffe-id.ts';
import { type IpWords, ipWords } from './ip-words.ts';

/** The facts of a connection that policies can name. */
export interface PolicyConnection {
  /** From the peer's verified certificate; absent for plaintext. */
  readonly sourceIdentity?: SpiffeId | undefined;
  /** The address of the TCP peer: behind a waypoint that is the waypoint's. */
  readonly sourceIp: IpAddress;
  /** The address of the pod. */
  readonly destinationIp: IpAddress;
  /** The port of the pod, after any service port was translated. */
  readonly destinationPort: number;
}

/** An identity in the words of policies. */
interface PolicyNames {
  readonly principal: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const NOBODY: PolicyNames = { principal: '', namespace: '', serviceAccount: '' };
/**
 * A peer has one identity for all its connections over a TLS connection. What is put together for each of them anew has
 * to be hashed anew as well, which takes longer than all other steps of a decision.
 */
const namesByIdentity = new WeakMap<SpiffeId, PolicyNames>();

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
    const names = namesOf(connection.sourceIdentity);
    this.principal = names.principal;
    this.namespace = names.namespace;
    this.serviceAccount = names.serviceAccount;
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

function namesOf(identity: SpiffeId | undefined): PolicyNames {
  if (identity === undefined) return NOBODY;
  const known = namesByIdentity.get(identity);
  if (known !== undefined) return known;
  const { trustDomain, namespace, serviceAccount } = identity;
  const names = {
    principal: `${trustDomain}/ns/${namespace}/sa/${serviceAccount}`,
    namespace,
    serviceAccount: `${namespace}/${serviceAccount}`,
  };
  namesByIdentity.set(identity, names);
  return names;
}
