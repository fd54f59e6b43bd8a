/** Errors of the sandbox, as its commands print them. */

import { errorCatalogue } from '../base/errors.ts';

export const sandboxErrors = errorCatalogue({
  AMBIT_SANDBOX_TOOL_MISSING: {
    side: 'config',
    hint: 'Install the package that the message names, or run make setup.',
  },
  AMBIT_SANDBOX_NAMESPACES_FORBIDDEN: {
    side: 'config',
    hint: 'Allow namespaces by the setting that the message names, or run the command as root.',
  },
  AMBIT_SANDBOX_NAME_INVALID: {
    side: 'config',
    hint: 'Use at most 32 lower-case letters, digits and hyphens, beginning and ending with a letter or digit.',
  },
  AMBIT_SANDBOX_STATE_UNSAFE: {
    side: 'config',
    hint: 'The state directory must be yours alone: remove what is there, or set XDG_RUNTIME_DIR or TMPDIR.',
  },
  AMBIT_SANDBOX_ALREADY_UP: {
    side: 'config',
    hint: "Change it with 'ambit sandbox apply', end it with 'ambit sandbox down', or choose another --name.",
  },
  AMBIT_SANDBOX_NOT_UP: {
    side: 'config',
    hint: "Start it with 'ambit sandbox up', or name another one with --name.",
  },
  AMBIT_SANDBOX_START_FAILED: {
    side: 'internal',
    hint: 'The message ends with the last lines of the log of the daemon, which tell the cause.',
  },
  AMBIT_SANDBOX_COMMAND_FAILED: {
    side: 'internal',
    hint: 'The message is that of the system tool; run the tool by hand to learn more.',
  },
  AMBIT_SANDBOX_MANIFEST_INVALID: {
    side: 'config',
    hint: 'Repair the manifest at the line given; nothing of this command was applied.',
  },
  AMBIT_SANDBOX_IMMUTABLE: {
    side: 'config',
    hint: "Delete the object first ('ambit sandbox delete'), then apply it again; nothing was applied.",
  },
  AMBIT_SANDBOX_NOT_FOUND: {
    side: 'config',
    hint: "See what there is with 'ambit sandbox get'; -n NAMESPACE chooses the namespace.",
  },
  AMBIT_SANDBOX_NOT_READY: {
    side: 'internal',
    hint: "Look at 'ambit sandbox logs' of what is named; the sandbox is left as it is: 'ambit sandbox down' ends it.",
  },
  AMBIT_SANDBOX_NOT_RUNNING: {
    side: 'config',
    hint: "Wait until 'ambit sandbox get pods' shows the pod as Running.",
  },
  AMBIT_SANDBOX_FULL: {
    side: 'config',
    hint: 'Start the sandbox with more nodes: --nodes.',
  },
  AMBIT_SANDBOX_ENROLMENT_REFUSED: {
    side: 'internal',
    hint: "The pod stays out until the agent takes it: 'ambit sandbox logs -n ambit-system' of the agent tells why.",
  },
  AMBIT_SANDBOX_INTERNAL: {
    side: 'internal',
    hint: "This is a mistake in the sandbox itself; logs/daemon.log in its state directory ('ambit sandbox env') tells more.",
  },
  AMBIT_SANDBOX_USAGE: {
    side: 'config',
    hint: "See 'ambit sandbox --help'.",
  },
});
