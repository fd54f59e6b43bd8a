/** What can go wrong in a command that a person typed. */

import { errorCatalogue } from '../base/errors.ts';

export const errors = errorCatalogue({
  AMBIT_CLI_USAGE: {
    side: 'config',
    hint: 'Run the command with --help to see what it takes.',
  },
  AMBIT_CLI_UNREACHABLE: {
    side: 'control-plane',
    hint: 'Check that the proxy runs and that its address is right; in a sandbox give --sandbox NAME.',
  },
  AMBIT_CLI_BAD_DUMP: {
    side: 'config',
    hint: 'Give a file that was written from /config_dump of a node proxy.',
  },
});
