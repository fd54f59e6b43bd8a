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
    const id = connection.sourceIdentity;
    this.principal = id === undefined ? '' : `${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
    this.namespace = id?.namespace ?? '';
    this.serviceAccount = id === undefined ? '' : `${id.namespace}/${id.serviceAccount}`;
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
