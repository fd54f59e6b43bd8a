/** Which words can stand next on a command line, told from the commands themselves. */

import type { Command, Option } from 'commander';

/** Where names come from that only the cluster knows. */
export type NameSource = 'node' | 'namespace' | 'pod';

export type Completion =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** @property namespace of the pods, where one is given */
  | { readonly kind: 'names'; readonly source: NameSource; readonly namespace?: string }
  | { readonly kind: 'files' };

const NONE: Completion = { kind: 'words', words: [] };

/** Options whose values are names or files, by their long form. */
const VALUES: Readonly<Record<string, Completion>> = {
  '--node': { kind: 'names', source: 'node' },
  '--workload-node': { kind: 'names', source: 'node' },
  '--namespace': { kind: 'names', source: 'namespace' },
  '--mesh-namespace': { kind: 'names', source: 'namespace' },
  '--workload-namespace': { kind: 'names', source: 'namespace' },
  '--service-namespace': { kind: 'names', source: 'namespace' },
  '--policy-namespace': { kind: 'names', source: 'namespace' },
  '--kubeconfig': { kind: 'files' },
  '--file': { kind: 'files' },
};

/** @param words everything behind the program's name; the last one is being typed and may be empty */
export function completeWords(program: Command, words: readonly string[]): Completion {
  const typed = words.at(-1) ?? '';
  const { command, pending, namespace, positionals } = readLine(program, words.slice(0, -1));
  if (pending !== undefined) return valuesOf(pending, typed);
  if (typed.startsWith('-')) return startingWith(optionWords(command), typed);
  const commands = command.commands.map((one) => one.name());
  if (commands.length > 0) return startingWith(commands, typed);
  const argument = command.registeredArguments[positionals];
  if (argument?.name() === 'pod') {
    return { kind: 'names', source: 'pod', ...(namespace !== undefined && { namespace }) };
  }
  return argument?.argChoices === undefined ? NONE : startingWith(argument.argChoices, typed);
}

interface LineState {
  readonly command: Command;
  /** The option whose value is being typed. */
  readonly pending: Option | undefined;
  readonly namespace: string | undefined;
  readonly positionals: number;
}

function readLine(program: Command, words: readonly string[]): LineState {
  let command = program;
  let pending: Option | undefined;
  let namespace: string | undefined;
  let positionals = 0;
  for (const word of words) {
    if (pending !== undefined) {
      if (pending.long === '--namespace') namespace = word;
      pending = undefined;
    } else if (word.startsWith('-')) {
      pending = command.options.find(
        ({ required, short, long }) => required && (word === short || word === long),
      );
    } else {
      const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (next === undefined) positionals++;
      else command = next;
    }
  }
  return { command, pending, namespace, positionals };
}

function valuesOf(option: Option, typed: string): Completion {
  if (option.argChoices !== undefined) return startingWith(option.argChoices, typed);
  return VALUES[option.long ?? ''] ?? NONE;
}

function optionWords(command: Command): string[] {
  const own = command.options.filter((option) => !option.hidden).flatMap(({ long }) => (long ? [long] : []));
  return [...own, '--help'];
}

export function startingWith(words: readonly string[], typed: string): Completion {
  return { kind: 'words', words: words.filter((word) => word.startsWith(typed)).sort() };
}
