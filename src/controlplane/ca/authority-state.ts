/** What a self-signed CA must remember: its key, its roots, and how far a change of roots has got. */

import type { StoredSigner } from './signing-material.ts';

/**
 * A change of roots has two waiting times. While the new root is `introduced` the old one signs on, until every
 * proxy has fetched a bundle with both; then the new one signs and the old one stays trusted, until everything it
 * signed has expired. Each time is over when all certificates issued before it have expired.
 */
export type Rotation =
  | { readonly kind: 'stable' }
  | { readonly kind: 'introduced'; readonly next: StoredSigner; readonly dueMs: number }
  | { readonly kind: 'switched'; readonly previousCertificatePem: string; readonly dueMs: number };

export interface AuthorityState {
  readonly version: 1;
  readonly signer: StoredSigner;
  readonly rotation: Rotation;
  /** No certificate issued so far is valid beyond this time. */
  readonly leavesExpireMs: number;
}

/** Where the state is kept; two processes may share it. */
export interface AuthorityStore {
  /** Undefined when there is none yet. Rejects with AMBIT_CA_STATE_UNREADABLE. */
  load(): Promise<AuthorityState | undefined>;
  /** Stores the first state, unless another process was faster; what is stored then is the result. */
  create(state: AuthorityState): Promise<AuthorityState>;
  /**
   * Replaces the state as a whole; false when another process has replaced the one that was loaded last, and nothing
   * is stored. Rejects with AMBIT_CA_STATE_UNWRITABLE.
   */
  save(state: AuthorityState): Promise<boolean>;
  /** Calls back when the state may have been replaced; returns how to stop. */
  watch(onChange: () => void): () => void;
}

/** Clocks of proxies may be behind: how much longer than computed each waiting time lasts. */
const MARGIN_MS = 5 * 60_000;

/** All roots that proxies must trust now, the signing one first. */
export function rootsPemOf(state: AuthorityState): string {
  const { signer, rotation } = state;
  if (rotation.kind === 'introduced') return signer.certificatePem + rotation.next.certificatePem;
  if (rotation.kind === 'switched') return signer.certificatePem + rotation.previousCertificatePem;
  return signer.certificatePem;
}

/** The first step: `next` becomes trusted. */
export function introduceRoot(state: AuthorityState, next: StoredSigner, nowMs: number): AuthorityState {
  return { ...state, rotation: { kind: 'introduced', next, dueMs: dueAfter(state, nowMs) } };
}

/** The step that is due, or undefined when none is. */
export function nextStep(state: AuthorityState, nowMs: number): AuthorityState | undefined {
  const { rotation, signer } = state;
  if (rotation.kind === 'stable' || rotation.dueMs > nowMs) return undefined;
  if (rotation.kind === 'switched') return { ...state, rotation: { kind: 'stable' } };
  const previousCertificatePem = signer.certificatePem;
  const switched = { kind: 'switched', previousCertificatePem, dueMs: dueAfter(state, nowMs) } as const;
  return { ...state, signer: rotation.next, rotation: switched };
}

/** Reads a state from its JSON, of which some fields may be kept elsewhere; undefined when it is not one. */
export function parseAuthorityState(
  json: string,
  elsewhere: Partial<Record<keyof AuthorityState, unknown>> = {},
): AuthorityState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const state = isRecord(value) ? { ...value, ...elsewhere } : value;
  return isState(state) ? state : undefined;
}

function dueAfter(state: AuthorityState, nowMs: number): number {
  return Math.max(nowMs, state.leavesExpireMs) + MARGIN_MS;
}

function isState(value: unknown): value is AuthorityState {
  if (!isRecord(value)) return false;
  return (
    value.version === 1 &&
    isSigner(value.signer) &&
    isRotation(value.rotation) &&
    Number.isSafeInteger(value.leavesExpireMs)
  );
}

function isRotation(value: unknown): value is Rotation {
  if (!isRecord(value)) return false;
  if (value.kind === 'stable') return true;
  if (!Number.isSafeInteger(value.dueMs)) return false;
  if (value.kind === 'introduced') return isSigner(value.next);
  return value.kind === 'switched' && typeof value.previousCertificatePem === 'string';
}

function isSigner(value: unknown): value is StoredSigner {
  return isRecord(value) && typeof value.keyPem === 'string' && typeof value.certificatePem === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
