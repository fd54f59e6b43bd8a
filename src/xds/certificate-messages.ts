/** The messages of istio.v1.auth: signing requests for workload certificates. */

import { message, optional, repeated, singular, type ValueOf } from './message-schema.ts';
import { STRUCT } from './struct-value.ts';
import { INT64, STRING } from './wire-type.ts';

/** Path of the one method of the certificate service. */
export const CREATE_CERTIFICATE_PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** In the request's metadata: the SPIFFE ID that a node proxy asks a certificate for. */
export const IMPERSONATED_IDENTITY = 'ImpersonatedIdentity';

export const IstioCertificateRequest = message('istio.v1.auth.IstioCertificateRequest', {
  /** PEM, PKCS#10. */
  csr: singular(1, STRING),
  /** Seconds. */
  validityDuration: singular(3, INT64),
  metadata: optional(4, STRUCT),
});
export type IstioCertificateRequest = ValueOf<typeof IstioCertificateRequest>;

export const IstioCertificateResponse = message('istio.v1.auth.IstioCertificateResponse', {
  /** PEM: the leaf first, intermediates one by one, the trusted roots last (several in one string are possible). */
  certChain: repeated(1, STRING),
});
export type IstioCertificateResponse = ValueOf<typeof IstioCertificateResponse>;
