/** Flags that many commands share: how they print, and how they end. */

import { type Command, Option } from 'commander';
import { OUTPUT_FORMATS } from '../printer.ts';

/** Exit codes of every command: findings or failures, usage, nobody reached. */
export const EXIT = { failed: 1, usage: 2, unreachable: 3 } as const;

export function addOutputOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-o, --output <format>', 'how to print it').choices(OUTPUT_FORMATS).default('table'),
    )
    .option('--no-headers', 'leave out the titles of the columns');
}
