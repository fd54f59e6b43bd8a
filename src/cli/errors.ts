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
  AMBIT_CLI_NOT_INSTALLED: {
    side: 'config',
    hint: 'Run `ambit install`, or name the namespace of the mesh with --mesh-namespace.',
  },
  AMBIT_CLI_CONFLICT: {
    side: 'config',
    hint: 'See who owns those fields (`kubectl get -o yaml --show-managed-fields`); --force-conflicts takes them over.',
  },
  AMBIT_CLI_NOT_READY: {
    side: 'control-plane',
    hint: 'Mend what is named and run the command again: it goes on where it stopped. `ambit check` says more.',
  },
  AMBIT_CLI_UNSUPPORTED_UPGRADE: {
    side: 'config',
    hint: 'Upgrade through each minor version in turn, with the `ambit` of that version.',
  },
  AMBIT_CLI_LEFT_BEHIND: {
    side: 'control-plane',
    hint: 'See docs/cli.md, `ambit uninstall`: what to do about each kind of thing that can be left.',
  },
  AMBIT_CLI_BAD_ANSWER: {
    side: 'control-plane',
    hint: 'See that the part is of the version of this command: `ambit version`.',
  },
  AMBIT_CLI_CA_GIVEN: {
    side: 'config',
    hint: 'Rotate the key where it is made, such as in cert-manager; keep the old root in ca.crt until all proxies have the new one.',
  },
  AMBIT_CLI_CA_ROTATING: {
    side: 'config',
    hint: 'Wait for the rotation that runs: `ambit ca status` says how far it is. It goes on by itself.',
  },
  AMBIT_CLI_BAD_DUMP: {
    side: 'config',
    hint: 'Give a file that was written from /config_dump of a node proxy.',
  },
});
