/** Decides which identities a caller may have certificates for (istio-ambient §5.3). */

import { formatSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import { accountOf, type Caller } from './caller.ts';
import { caErrors } from './errors.ts';

/** What must be known of a pod here. */
export interface PodRecord {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly node: string;
  /** Its phase is Succeeded or Failed: nothing runs in it any more. */
  readonly terminal: boolean;
}

/** The pods of the cluster, as far as they are known by now. */
export interface PodIndex {
  podByUid(uid: string): PodRecord | undefined;
  podsOnNode(node: string): Iterable<PodRecord>;
}

/** Accounts of node proxies, `namespace/serviceAccount`: Ambit's own, and Istio's so that either may be used. */
export const DEFAULT_TRUSTED_NODE_ACCOUNTS: readonly string[] = [
  'ambit-system/ambit-ztunnel',
  'ambit-system/ztunnel',
  'istio-system/ztunnel',
];

export interface NodeAuthorizationOptions {
  readonly trustDomain: string;
  readonly pods: PodIndex;
  /** `namespace/serviceAccount`. */
  readonly trustedNodeAccounts?: readonly string[];
}

/**
 * A node proxy may have the identities of the pods on its node, and no others: who takes over one node does not get
 * the identities of the rest. Everybody else may have only the own identity. Stricter than Istio: the trust domain
 * must be ours, the caller's pod must agree with its token in name and account, and completed pods count for nothing.
 */
export class NodeAuthorization {
  readonly #trustDomain: string;
  readonly #pods: PodIndex;
  readonly #trustedNodeAccounts: ReadonlySet<string>;

  constructor(options: NodeAuthorizationOptions) {
    this.#trustDomain = options.trustDomain;
    this.#pods = options.pods;
    this.#trustedNodeAccounts = new Set(options.trustedNodeAccounts ?? DEFAULT_TRUSTED_NODE_ACCOUNTS);
  }

  /** The identity that the caller itself has. */
  identityOf(caller: Caller): SpiffeId {
    return {
      trustDomain: this.#trustDomain,
      namespace: caller.namespace,
      serviceAccount: caller.serviceAccount,
    };
  }

  /** The node of the caller's pod, if that is known. */
  nodeOf(caller: Caller): string | undefined {
    return caller.podUid === undefined ? undefined : this.#pods.podByUid(caller.podUid)?.node;
  }

  /**
   * Returns if the caller may have a certificate for that identity; otherwise throws AMBIT_IDENTITY_FOREIGN,
   * AMBIT_CALLER_NOT_NODE_PROXY, AMBIT_CALLER_POD_UNKNOWN or AMBIT_IDENTITY_NOT_ON_NODE.
   */
  authorize(caller: Caller, requested: SpiffeId): void {
    const name = formatSpiffeId(requested);
    if (requested.trustDomain !== this.#trustDomain) {
      throw caErrors.AMBIT_IDENTITY_FOREIGN(
        `${name} is not of this mesh's trust domain ${this.#trustDomain}`,
      );
    }
    const account = accountOf(caller);
    if (account === accountOf(requested)) return;
    if (!this.#trustedNodeAccounts.has(account)) {
      throw caErrors.AMBIT_CALLER_NOT_NODE_PROXY(`${account} asked for ${name} and is not a node proxy`);
    }
    const node = this.#runningNodeOf(caller);
    for (const pod of this.#pods.podsOnNode(node)) {
      if (!pod.terminal && accountOf(pod) === accountOf(requested)) return;
    }
    throw caErrors.AMBIT_IDENTITY_NOT_ON_NODE(`no running pod of node ${node} has the identity ${name}`);
  }

  #runningNodeOf(caller: Caller): string {
    const pod = caller.podUid === undefined ? undefined : this.#pods.podByUid(caller.podUid);
    const agrees = pod?.name === caller.podName && pod !== undefined && accountOf(pod) === accountOf(caller);
    if (agrees && !pod.terminal) return pod.node;
    const who =
      caller.podName === undefined ? 'a token without pod' : `pod ${caller.podName} (${caller.podUid})`;
    throw caErrors.AMBIT_CALLER_POD_UNKNOWN(
      `${accountOf(caller)} called with ${who}, which is not known as running`,
    );
  }
}
