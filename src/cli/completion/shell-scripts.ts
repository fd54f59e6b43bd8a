/** The scripts that make shells ask `ambit __complete` for words. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The last line of an answer, as kubectl reads it from plugins: whether the shell may offer files. */
export const DIRECTIVES = { files: ':0', noFiles: ':4' } as const;

const BASH = `# Words for ambit: source <(ambit completion bash)
_ambit() {
  local -a lines
  mapfile -t lines < <(ambit __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ \${#lines[@]} -gt 0 ]] || return
  [[ \${lines[-1]} == '${DIRECTIVES.files}' ]] && compopt -o default
  unset 'lines[-1]'
  COMPREPLY=("\${lines[@]}")
}
complete -F _ambit ambit
`;

const ZSH = `#compdef ambit
# Words for ambit: source <(ambit completion zsh)
_ambit() {
  local -a lines
  lines=("\${(@f)$(ambit __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  [[ \${#lines} -gt 0 ]] || return
  local directive=\${lines[-1]}
  lines=("\${(@)lines[1,-2]}")
  compadd -a lines
  [[ $directive == '${DIRECTIVES.files}' ]] && _files
}
compdef _ambit ambit
`;

const FISH = `# Words for ambit: ambit completion fish | source
function __ambit_words
  set -l words (commandline --cut-at-cursor --tokenize)
  set -l lines (ambit __complete $words[2..-1] (commandline --current-token) 2>/dev/null)
  if test (count $lines) -gt 1
    printf '%s\\n' $lines[1..-2]
  else if test "$lines[1]" = '${DIRECTIVES.files}'
    __fish_complete_path (commandline --current-token)
  end
end
complete --command ambit --no-files --arguments '(__ambit_words)'
`;

export const SHELL_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
