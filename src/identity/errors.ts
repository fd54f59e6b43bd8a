/** What can go wrong with keys, certificates, revocation lists and the identities of peers. */

import { errorCatalogue } from '../base/errors.ts';

export const identityErrors = errorCatalogue({
  AMBIT_DER_MALFORMED: {
    side: 'downstream',
    hint: 'The bytes are not strict DER: look at what made them with openssl asn1parse.',
  },
  AMBIT_PEM_MALFORMED: {
    side: 'config',
    hint: 'The text is not well-formed PEM: look at it with openssl x509, openssl req or openssl crl.',
  },
  AMBIT_KEY_UNSUPPORTED: {
    side: 'config',
    hint: 'Use an unencrypted EC key on P-256 or P-384, or an RSA key of 2048 to 4096 bits.',
  },
  AMBIT_CERTIFICATE_MALFORMED: {
    side: 'config',
    hint: 'The certificate cannot be read: look at it with openssl x509 -text.',
  },
  AMBIT_CSR_TOO_LARGE: {
    side: 'downstream',
    hint: 'A certificate request of the mesh has less than 1 KiB: find out what sends this one.',
  },
  AMBIT_CSR_MALFORMED: {
    side: 'downstream',
    hint: 'Send exactly one PKCS#10 request in PEM: check it with openssl req -verify.',
  },
  AMBIT_CSR_KEY: {
    side: 'downstream',
    hint: 'Request certificates for EC keys on P-256 or P-384, or RSA keys of 2048 to 4096 bits.',
  },
  AMBIT_CSR_SIGNATURE: {
    side: 'downstream',
    hint: 'The requester does not hold the private key of its request, or signed it with an outdated algorithm.',
  },
  AMBIT_CSR_NAMES: {
    side: 'downstream',
    hint: 'Ask for one URI name, spiffe://<trust domain>/ns/<namespace>/sa/<service account>, and no other name.',
  },
  AMBIT_PEER_CERTIFICATE_MALFORMED: {
    side: 'upstream',
    hint: 'Look at the certificate with openssl s_client -showcerts: it is no X.509 certificate of a mesh CA.',
  },
  AMBIT_PEER_IDENTITY_MISSING: {
    side: 'upstream',
    hint: 'A mesh certificate names exactly one SPIFFE ID: check which CA signed the certificate of the peer.',
  },
  AMBIT_PEER_TRUST_DOMAIN: {
    side: 'downstream',
    hint: 'Both meshes must use one trust domain: compare meshConfig.trustDomain of the two control planes.',
  },
  AMBIT_PEER_IDENTITY_MISMATCH: {
    side: 'upstream',
    hint: 'Another workload answers at that address: the address may just have moved, or traffic is being diverted.',
  },
  AMBIT_PEER_REVOKED: {
    side: 'policy',
    hint: 'The CA revoked the certificate: give the peer a new one, or correct the revocation list.',
  },
  AMBIT_CRL_MALFORMED: {
    side: 'config',
    hint: 'Check the file with openssl crl -text; until it can be read, the lists read before stay in force.',
  },
  AMBIT_CRL_UNREADABLE: {
    side: 'config',
    hint: 'Check that the revocation list file may be read by this process, and its size.',
  },
  AMBIT_CERTIFICATE_REQUEST_FAILED: {
    side: 'control-plane',
    retryable: true,
    hint: 'Check that the control plane is reachable, and its log for the reason; the request is repeated.',
  },
  AMBIT_CERTIFICATE_REFUSED: {
    side: 'control-plane',
    hint: 'The CA answered with a certificate that this proxy must not use: check what signs in the control plane.',
  },
  AMBIT_IDENTITY_UNAVAILABLE: {
    side: 'control-plane',
    retryable: true,
    hint: 'The workload has no valid certificate: the cause in the message says why the CA gave none.',
  },
  AMBIT_IDENTITY_UNKNOWN: {
    side: 'internal',
    hint: 'No pod of this node has that identity: it may have ended while the connection was being made.',
  },
});
