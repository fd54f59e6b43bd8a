/** Tells on stderr how far a command is; what a program reads goes to stdout. */

export interface Progress {
  /** Something is done. */
  done(text: string): void;
  /** Something is waited for; the same text twice is told once. */
  waiting(text: string): void;
  /** Something that the person should know. */
  note(text: string): void;
}

export function progressOn(stream: { write(text: string): unknown }): Progress {
  let last: string | undefined;
  const tell = (mark: string, text: string) => {
    last = undefined;
    stream.write(`${mark} ${text}\n`);
  };
  return {
    done: (text) => tell('✓', text),
    note: (text) => tell('!', text),
    waiting: (text) => {
      if (text === last) return;
      stream.write(`… ${text}\n`);
      last = text;
    },
  };
}
