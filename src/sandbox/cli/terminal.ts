/** Where the commands of the sandbox write: data to standard output, everything else to standard error. */

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Progress and warnings. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}
