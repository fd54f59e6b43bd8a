/** How the demo talks: numbered steps, what was seen, and the command to try by hand. */

import { styleText } from 'node:util';

const WIDTH = 100;
let number = 0;

/** Begins a step with the sentence that says what it does. */
export function step(title: string): void {
  number++;
  write(`\n${styleText(['bold', 'cyan'], `${number}. ${title}`)}`);
}

/** A fact that was seen. */
export function saw(text: string): void {
  write(`   ${styleText('green', '✔')} ${text}`);
}

/** Lines out of the system itself, cut to the width of a terminal. */
export function quote(lines: readonly string[]): void {
  for (const line of lines)
    write(`     ${styleText('dim', line.length > WIDTH ? `${line.slice(0, WIDTH - 1)}…` : line)}`);
}

/** What a person can type to see the same. */
export function byHand(command: string): void {
  write(`   ${styleText('yellow', 'try it:')} ${command}`);
}

export function note(text: string): void {
  write(`   ${text}`);
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}
