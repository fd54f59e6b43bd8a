/** Errors of the control plane as a process. */

import { errorCatalogue } from '../base/errors.ts';

export const controlPlaneErrors = errorCatalogue({
  AMBIT_CONTROLPLANE_CONFIG_INVALID: {
    side: 'config',
    hint: 'Correct the flag or the environment variable named in the message; `ambit controlplane --help` lists them.',
  },
  AMBIT_CONTROLPLANE_LISTEN_FAILED: {
    side: 'config',
    hint: 'Something else listens there, or the address is not one of this machine: choose another one.',
  },
  AMBIT_CONTROLPLANE_ROOT_UNWRITABLE: {
    side: 'config',
    hint: 'Check that the folder of the CA may be written: clients take their root certificate from it.',
  },
});
