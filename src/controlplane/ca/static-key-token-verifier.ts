/** Verifies service account tokens against one public key, for meshes without a Kubernetes API server. */

import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type JWTPayload, jwtVerify } from 'jose';
import { messageOf } from '../../base/errors.ts';
import { type Clock, systemClock } from '../../identity/clock.ts';
import type { Caller, TokenVerifier } from './caller.ts';
import { caErrors } from './errors.ts';

/** The audience that Istio's proxies ask for (istio-ambient §5.1). */
export const DEFAULT_AUDIENCE = 'istio-ca';

/** Characters of a token at most; a bound service account token has about 1,200. */
const MAX_TOKEN_LENGTH = 8 * 1024;
/** Clocks of issuer and control plane may differ by this much. */
const CLOCK_TOLERANCE_SECONDS = 30;
/** Names and UIDs of Kubernetes objects, at the longest. */
const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

export interface StaticKeyOptions {
  /** ES256. */
  readonly publicKeyPem: string;
  readonly audience?: string;
  readonly clock?: Clock;
}

export class StaticKeyTokenVerifier implements TokenVerifier {
  readonly #publicKey: KeyObject;
  readonly #audience: string;
  readonly #clock: Clock;

  constructor(options: StaticKeyOptions) {
    this.#publicKey = createPublicKey(options.publicKeyPem);
    this.#audience = options.audience ?? DEFAULT_AUDIENCE;
    this.#clock = options.clock ?? systemClock;
  }

  static fromFile(
    path: string,
    options: Omit<StaticKeyOptions, 'publicKeyPem'> = {},
  ): StaticKeyTokenVerifier {
    return new StaticKeyTokenVerifier({ ...options, publicKeyPem: readFileSync(path, 'utf8') });
  }

  async verify(token: string): Promise<Caller> {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid(`it is longer than ${MAX_TOKEN_LENGTH} characters`);
    let payload: JWTPayload;
    try {
      ({ payload } = await jwtVerify(token, this.#publicKey, {
        algorithms: ['ES256'],
        audience: this.#audience,
        currentDate: new Date(this.#clock.nowMs()),
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp', 'sub'],
      }));
    } catch (thrown) {
      throw invalid(messageOf(thrown), thrown);
    }
    return callerOf(payload);
  }
}

/** The claims that Kubernetes puts into bound tokens; `sub` must agree with them. */
function callerOf(payload: JWTPayload): Caller {
  const bound = recordAt(payload, 'kubernetes.io');
  const namespace = nameAt(bound, 'namespace');
  const serviceAccount = nameAt(recordAt(bound, 'serviceaccount'), 'name');
  if (payload.sub !== `system:serviceaccount:${namespace}:${serviceAccount}`) {
    throw invalid('its subject is not the service account that its claims name');
  }
  if (bound.pod === undefined) return { namespace, serviceAccount, podName: undefined, podUid: undefined };
  const pod = recordAt(bound, 'pod');
  return { namespace, serviceAccount, podName: nameAt(pod, 'name'), podUid: nameAt(pod, 'uid') };
}

function recordAt(claims: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const value = claims[key];
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw invalid(`its claim "${key}" is missing or not an object`);
}

function nameAt(claims: Readonly<Record<string, unknown>>, key: string): string {
  const value = claims[key];
  if (typeof value === 'string' && OBJECT_NAME.test(value)) return value;
  throw invalid(`its claim "${key}" is missing or not a name`);
}

function invalid(why: string, cause?: unknown): Error {
  return caErrors.AMBIT_CALLER_TOKEN_INVALID(`the caller's token is not accepted: ${why}`, cause);
}
