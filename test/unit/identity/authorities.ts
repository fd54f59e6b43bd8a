/** Roots, intermediates and leaves for tests, made by the code under test and judged elsewhere by openssl. */

import { parseSpiffeId, type SpiffeId } from '../../../src/base/spiffe-id.ts';
import {
  type CertificateProfile,
  type Issuer,
  issueCertificate,
  issueRootCertificate,
  issuerOf,
} from '../../../src/identity/certificate.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';

export const HOUR_MS = 3_600_000;
export const YEAR_MS = 365 * 24 * HOUR_MS;

export interface TestAuthority {
  readonly issuer: Issuer;
  readonly der: Uint8Array;
}

export function authorityProfile(commonName: string, pathLength?: number): CertificateProfile {
  const limit = pathLength === undefined ? {} : { pathLength };
  return { kind: 'authority', organization: 'cluster.local', commonName, ...limit };
}

export function makeRoot(name: string, pathLength?: number, key = KeyPair.generate()): TestAuthority {
  const nowMs = wholeSeconds();
  const order = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 10 * YEAR_MS };
  const der = issueRootCertificate(key, { profile: authorityProfile(name, pathLength), ...order });
  return { issuer: issuerOf(der, key), der };
}

export function makeIntermediate(above: TestAuthority, name: string, pathLength?: number): TestAuthority {
  const key = KeyPair.generate();
  const der = issue(above, authorityProfile(name, pathLength), key);
  return { issuer: issuerOf(der, key), der };
}

/** Valid from now on for an hour. */
export function issue(
  authority: TestAuthority,
  profile: CertificateProfile,
  key = KeyPair.generate(),
): Uint8Array {
  const notBeforeMs = wholeSeconds();
  const times = { notBeforeMs, notAfterMs: notBeforeMs + HOUR_MS };
  return issueCertificate(authority.issuer, { profile, publicKeyDer: key.publicKeyDer, ...times });
}

export function workload(identity: SpiffeId): CertificateProfile {
  return { kind: 'workload', identity };
}

export function spiffeId(text: string): SpiffeId {
  const id = parseSpiffeId(text);
  if (id === undefined) throw new Error(`${text} is no SPIFFE ID`);
  return id;
}

export function wholeSeconds(): number {
  return Math.floor(Date.now() / 1000) * 1000;
}
