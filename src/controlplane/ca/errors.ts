/** What can go wrong in the certificate authority, and the gRPC status that tells a caller so. */

import { type AmbitError, errorCatalogue } from '../../base/errors.ts';

export const caErrors = errorCatalogue({
  AMBIT_CA_FILES_INVALID: {
    side: 'config',
    hint: 'Check the files or the Secret with openssl verify: key and certificate must belong together and lead to the given roots.',
  },
  AMBIT_CA_STATE_UNREADABLE: {
    side: 'config',
    hint: 'Restore the file or the Secret from a backup; without it a new root is made that no running proxy trusts.',
  },
  AMBIT_CA_STATE_UNWRITABLE: {
    side: 'config',
    hint: 'Check that the directory or the Secret may be written by the control plane.',
  },
  AMBIT_CA_EXPIRED: {
    side: 'config',
    hint: 'The signing certificate or one above it has expired: put a new one in its place.',
  },
  AMBIT_CA_ROTATION_UNDER_WAY: {
    side: 'config',
    hint: 'Wait for the rotation that runs; it goes on by itself when all older certificates have expired.',
  },
  AMBIT_CA_NOT_OWN: {
    side: 'config',
    hint: 'Rotate the key where it is made, such as in cert-manager; keep the old root in ca.crt until all proxies have the new one.',
  },
  AMBIT_CA_TTL_INVALID: {
    side: 'downstream',
    hint: 'Ask for a shorter life: at most 90 days are given.',
  },
  AMBIT_CA_RATE_LIMITED: {
    side: 'downstream',
    retryable: true,
    hint: 'One node asks for certificates all the time: look at its proxy for restarts or refused answers.',
  },
  AMBIT_CALLER_TOKEN_INVALID: {
    side: 'downstream',
    hint: 'The caller must send a service account token with an audience of the control plane (see --token-audience) that has not expired.',
  },
  AMBIT_CALLER_TOKEN_UNVERIFIED: {
    side: 'control-plane',
    retryable: true,
    hint: 'The API server does not answer TokenReviews: look at its health, and at the rights of the control plane.',
  },
  AMBIT_CALLER_NOT_NODE_PROXY: {
    side: 'policy',
    hint: 'Only node proxies may ask for other identities: see CA_TRUSTED_NODE_ACCOUNTS of the control plane.',
  },
  AMBIT_CALLER_POD_UNKNOWN: {
    side: 'policy',
    retryable: true,
    hint: 'The pod of the node proxy is not known (yet): its token must be bound to a pod that runs now.',
  },
  AMBIT_IDENTITY_NOT_ON_NODE: {
    side: 'policy',
    retryable: true,
    hint: 'No running pod of the node has that identity; right after a start this is only a matter of a moment.',
  },
  AMBIT_IDENTITY_FOREIGN: {
    side: 'policy',
    hint: 'The proxy and the control plane must be configured with the same trust domain.',
  },
  AMBIT_IDENTITY_AMBIGUOUS: {
    side: 'downstream',
    hint: 'Name one identity only: in the certificate request, in ImpersonatedIdentity, or the same in both.',
  },
});

/** By name, as the transport has the numbers. */
export type GrpcStatus =
  | 'INVALID_ARGUMENT'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'UNAVAILABLE'
  | 'INTERNAL';

const STATUS: Readonly<Record<keyof typeof caErrors, GrpcStatus>> = {
  AMBIT_CA_FILES_INVALID: 'INTERNAL',
  AMBIT_CA_STATE_UNREADABLE: 'INTERNAL',
  AMBIT_CA_STATE_UNWRITABLE: 'INTERNAL',
  AMBIT_CA_EXPIRED: 'FAILED_PRECONDITION',
  AMBIT_CA_ROTATION_UNDER_WAY: 'FAILED_PRECONDITION',
  AMBIT_CA_NOT_OWN: 'FAILED_PRECONDITION',
  AMBIT_CA_TTL_INVALID: 'INVALID_ARGUMENT',
  AMBIT_CA_RATE_LIMITED: 'RESOURCE_EXHAUSTED',
  AMBIT_CALLER_TOKEN_INVALID: 'UNAUTHENTICATED',
  AMBIT_CALLER_TOKEN_UNVERIFIED: 'UNAVAILABLE',
  AMBIT_CALLER_NOT_NODE_PROXY: 'PERMISSION_DENIED',
  AMBIT_CALLER_POD_UNKNOWN: 'PERMISSION_DENIED',
  AMBIT_IDENTITY_NOT_ON_NODE: 'PERMISSION_DENIED',
  AMBIT_IDENTITY_FOREIGN: 'PERMISSION_DENIED',
  AMBIT_IDENTITY_AMBIGUOUS: 'INVALID_ARGUMENT',
};

/** The status under which an error of signing goes to the caller. */
export function grpcStatusOf(error: AmbitError): GrpcStatus {
  if (error.code.startsWith('AMBIT_CSR_')) return 'INVALID_ARGUMENT';
  return Object.hasOwn(STATUS, error.code) ? STATUS[error.code as keyof typeof caErrors] : 'INTERNAL';
}
