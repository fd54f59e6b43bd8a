/** Readiness as a list of what is still missing; ready once the list is empty. */

export class Readiness {
  readonly #missing: Set<string>;

  constructor(tasks: readonly string[]) {
    this.#missing = new Set(tasks);
  }

  /** Names of the start-up tasks that are not finished. */
  get missing(): readonly string[] {
    return [...this.#missing];
  }

  get ready(): boolean {
    return this.#missing.size === 0;
  }

  done(task: string): void {
    this.#missing.delete(task);
  }

  undone(task: string): void {
    this.#missing.add(task);
  }
}
