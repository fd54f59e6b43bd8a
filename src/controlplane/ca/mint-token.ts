/** Makes service account tokens as an API server would, for meshes that have none. */

import { createPrivateKey, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { type Clock, systemClock } from '../../identity/clock.ts';
import { DEFAULT_AUDIENCE } from './static-key-token-verifier.ts';

/** As in Kubernetes' projected tokens of the mesh (istio-ambient §5.1). */
const DEFAULT_TTL_SECONDS = 43_200;
const ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface TokenSubject {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod that the token is bound to, if any. */
  readonly pod?: { readonly name: string; readonly uid: string; readonly node: string };
}

export interface TokenOptions {
  readonly audience?: string;
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
}

/** A bound token signed with an ES256 key in PEM. */
export function mintToken(
  privateKeyPem: string,
  subject: TokenSubject,
  options: TokenOptions = {},
): Promise<string> {
  const { audience = DEFAULT_AUDIENCE, ttlSeconds = DEFAULT_TTL_SECONDS, clock = systemClock } = options;
  const { namespace, serviceAccount, pod } = subject;
  const nowSeconds = Math.floor(clock.nowMs() / 1000);
  const bound = {
    namespace,
    serviceaccount: { name: serviceAccount, uid: randomUUID() },
    ...(pod === undefined ? {} : { pod: { name: pod.name, uid: pod.uid }, node: { name: pod.node } }),
  };
  return new SignJWT({ 'kubernetes.io': bound })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    .setSubject(`system:serviceaccount:${namespace}:${serviceAccount}`)
    .setAudience([audience])
    .setJti(randomUUID())
    .setIssuedAt(nowSeconds)
    .setNotBefore(nowSeconds)
    .setExpirationTime(nowSeconds + ttlSeconds)
    .sign(createPrivateKey(privateKeyPem));
}
