/** What can go wrong before an installation reaches the cluster. */

import { errorCatalogue } from '../base/errors.ts';

export const installErrors = errorCatalogue({
  AMBIT_INSTALL_VALUE_INVALID: {
    side: 'config',
    hint: 'Compare the values with those that docs/install.md lists.',
  },
  AMBIT_INSTALL_MANIFESTS_UNREADABLE: {
    side: 'internal',
    hint: 'The files of the program are damaged or incomplete: install it again.',
  },
});
