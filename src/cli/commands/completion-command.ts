/** The flags of `ambit completion`, and the command that its scripts ask for words. */

import { Argument, type Command } from 'commander';

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('a script that completes the commands in a shell')
    .addArgument(new Argument('<shell>', 'which').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { SHELL_SCRIPTS } = await import('../completion/shell-scripts.ts');
      process.stdout.write(SHELL_SCRIPTS[shell]);
    });
}

/** What shells call, beside the parser: to it a word that is not finished would be a mistake. */
export const COMPLETE_COMMAND = '__complete';

/** @param words everything behind the program's name; the last one is being typed */
export async function writeWords(program: Command, words: readonly string[]): Promise<void> {
  const { completeWords, startingWith } = await import('../completion/complete-words.ts');
  const { DIRECTIVES } = await import('../completion/shell-scripts.ts');
  let completion = completeWords(program, words);
  if (completion.kind === 'names') {
    const { clusterNames } = await import('../completion/cluster-names.ts');
    completion = startingWith(await clusterNames(completion), words.at(-1) ?? '');
  }
  const lines = completion.kind === 'words' ? [...completion.words, DIRECTIVES.noFiles] : [DIRECTIVES.files];
  process.stdout.write(`${lines.join('\n')}\n`);
}
