/** The CA of a cluster as its Secret tells: whose key it is, which certificates are trusted, how far a rotation is. */

import { X509Certificate } from 'node:crypto';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere } from '../cluster/cluster-api.ts';
import { errors } from '../errors.ts';

export const DEFAULT_CA_SECRET = 'ambit-ca';
/** Asks the control plane for a new root. */
export const ROTATE_ANNOTATION = 'ambit.io/rotate-ca';
/** Where the control plane notes how far a rotation is; a Secret without it was put there by others. */
const STATE_KEY = 'rotation.json';

export type RotationPhase = 'stable' | 'introduced' | 'switched';

/** What a certificate of the CA is for. */
export type CertificateRole = 'signs' | 'signs next' | 'signed before' | 'trusted';

export interface CaCertificate {
  readonly subject: string;
  readonly role: CertificateRole;
  readonly sha256: string;
  readonly expires: string;
}

export interface CaReport {
  readonly secret: string;
  /** `own`: made and rotated by the control plane; `given`: by the operator. */
  readonly key: 'own' | 'given';
  readonly rotation?: RotationPhase;
  /** When the rotation goes on by itself. */
  readonly nextStep?: string;
  readonly certificates: readonly CaCertificate[];
}

/** A core/v1 Secret, as far as it matters here. */
interface Secret {
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
}

interface RotationState {
  readonly kind?: RotationPhase;
  readonly dueMs?: number;
}

export function secretPath({ meshNamespace }: Cluster, name: string): string {
  return `/api/v1/namespaces/${meshNamespace}/secrets/${name}`;
}

/** @throws AmbitError AMBIT_CLI_NOT_INSTALLED, AMBIT_CLI_BAD_ANSWER, and as a request */
export async function readCa(cluster: Cluster, name: string): Promise<CaReport> {
  const secret = await getIfThere<Secret>(cluster.api, secretPath(cluster, name));
  const place = `${cluster.meshNamespace}/${name}`;
  if (secret === undefined) throw errors.AMBIT_CLI_NOT_INSTALLED(`there is no Secret ${place}`);
  try {
    return reportOf(place, secret);
  } catch (thrown) {
    throw errors.AMBIT_CLI_BAD_ANSWER(`Secret ${place} does not hold a CA`, thrown);
  }
}

function reportOf(secret: string, { data = {} }: Secret): CaReport {
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  const [signer] = certificatesIn(text('tls.crt') || text('ca-cert.pem'));
  const roots = certificatesIn(text('ca.crt') || text('root-cert.pem'));
  if (signer === undefined) throw new Error('no signing certificate');
  const signerReport = certificateOf(signer, 'signs');
  if (data[STATE_KEY] === undefined) {
    const trusted = roots.filter(({ raw }) => !raw.equals(signer.raw));
    const certificates = [signerReport, ...trusted.map((root) => certificateOf(root, 'trusted'))];
    return { secret, key: 'given', certificates };
  }
  const { rotation = {} }: { readonly rotation?: RotationState } = JSON.parse(text(STATE_KEY));
  const { kind = 'stable', dueMs } = rotation;
  const other = kind === 'introduced' ? 'signs next' : 'signed before';
  const others = roots.filter(({ raw }) => !raw.equals(signer.raw)).map((root) => certificateOf(root, other));
  const nextStep = dueMs === undefined ? {} : { nextStep: new Date(dueMs).toISOString() };
  return { secret, key: 'own', rotation: kind, ...nextStep, certificates: [signerReport, ...others] };
}

function certificateOf(x509: X509Certificate, role: CertificateRole): CaCertificate {
  return {
    subject: (x509.subject ?? '').replaceAll('\n', ', '),
    role,
    sha256: x509.fingerprint256,
    expires: x509.validToDate.toISOString(),
  };
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
