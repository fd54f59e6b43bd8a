/** Who calls the certificate service, as a verified token tells. */

/** A service account, and the pod its token is bound to; a token from outside a pod has none. */
export interface Caller {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string | undefined;
  readonly podUid: string | undefined;
}

/** Turns a bearer token into a caller. */
export interface TokenVerifier {
  /** Rejects with AMBIT_CALLER_TOKEN_INVALID. */
  verify(token: string): Promise<Caller>;
}

/** `namespace/serviceAccount`. */
export function accountOf(caller: Pick<Caller, 'namespace' | 'serviceAccount'>): string {
  return `${caller.namespace}/${caller.serviceAccount}`;
}
