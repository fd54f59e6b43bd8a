/** The certificate authority of one control plane: its state in a folder, its service, its own serving certificate. */

import { systemClock } from '../identity/clock.ts';
import { AuthorityDirectory } from './ca/authority-directory.ts';
import { CertificateAuthority } from './ca/certificate-authority.ts';
import { CertificateService } from './ca/certificate-service.ts';
import { NodeAuthorization, type PodIndex } from './ca/node-authorization.ts';
import { SelfSignedAuthority } from './ca/self-signed-authority.ts';
import { ServingCertificate } from './ca/serving-certificate.ts';
import type { ControlPlaneConfig } from './config.ts';
import { publishRoots } from './root-publisher.ts';

export interface IssuingAuthority extends AsyncDisposable {
  readonly service: CertificateService;
  readonly serving: ServingCertificate;
}

/** Makes a root at the first start, and publishes it for clients. Rejects with the errors of the CA. */
export async function openAuthority(config: ControlPlaneConfig, pods: PodIndex): Promise<IssuingAuthority> {
  await using stack = new AsyncDisposableStack();
  const { trustDomain, caDir } = config;
  const store = new AuthorityDirectory(caDir, systemClock);
  const source = await SelfSignedAuthority.open({ store, trustDomain });
  stack.defer(() => source.close());
  const authority = new CertificateAuthority({ source });
  stack.defer(publishRoots(authority, caDir));
  const serving = await ServingCertificate.create({ authority, ...config.servingNames });
  stack.defer(() => serving.close());
  const service = new CertificateService({
    authority,
    authorization: new NodeAuthorization({ trustDomain, pods }),
  });
  const open = stack.move();
  return { service, serving, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
