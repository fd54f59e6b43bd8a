/** Errors of the layer that talks to the kernel and to the runtime's native libraries. */

import { errorCatalogue } from '../base/errors.ts';

export const sysErrors = errorCatalogue({
  AMBIT_RUNTIME_UNSUPPORTED: {
    side: 'internal',
    hint: 'Run Ambit on Linux (x86-64 or arm64) with the Node 26.10 that it is shipped with, without --no-experimental-ffi.',
  },
  AMBIT_TLS_CONTEXT_INVALID: {
    side: 'config',
    hint: 'Check that certificate chain (leaf first), private key and trusted roots are PEM and belong together.',
  },
  AMBIT_SYSTEM_CALL_FAILED: {
    side: 'internal',
    hint: 'Look the named error up in errno(3); EPERM and EACCES mean that a capability is missing (NET_ADMIN, SYS_ADMIN).',
  },
});
