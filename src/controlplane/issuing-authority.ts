/** The certificate authority of one control plane: its service, and its own serving certificate. */

import { CertificateAuthority } from './ca/certificate-authority.ts';
import { CertificateService } from './ca/certificate-service.ts';
import { NodeAuthorization, type PodIndex } from './ca/node-authorization.ts';
import { ServingCertificate } from './ca/serving-certificate.ts';
import type { ControlPlaneConfig } from './config.ts';
import type { Environment } from './environment.ts';

export interface IssuingAuthority extends Disposable {
  readonly authority: CertificateAuthority;
  readonly service: CertificateService;
  readonly serving: ServingCertificate;
}

/** Publishes the roots for clients, too. Rejects with the errors of the CA. */
export async function openAuthority(
  { trustDomain, trustedNodeAccounts, servingNames }: ControlPlaneConfig,
  environment: Environment,
  pods: PodIndex,
): Promise<IssuingAuthority> {
  const authority = new CertificateAuthority({ source: environment.signing });
  environment.publishRoots(authority);
  const serving = await ServingCertificate.create({ authority, ...servingNames });
  const authorization = new NodeAuthorization({ trustDomain, pods, trustedNodeAccounts });
  const service = new CertificateService({ authority, authorization });
  return { authority, service, serving, [Symbol.dispose]: () => serving.close() };
}
