/** One copy of what many objects repeat: 100,000 workloads know few namespaces, nodes and port maps. */

/**
 * How many values are kept in reach for sharing, twice over. Beyond that the least recently used half is let go:
 * node names come and go for as long as the process lives.
 */
const GENERATION_SIZE = 32_768;

/** Two generations of a cache: what is asked for moves to the young one, and the old one is dropped as a whole. */
class Generations<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= GENERATION_SIZE) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

export class Interner {
  readonly #strings = new Generations<string>();
  readonly #values = new Generations<unknown>();

  string(text: string): string {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    this.#strings.set(text, text);
    return text;
  }

  /** The value made first under this key; the key must say everything about the value, its kind included. */
  value<V>(key: string, make: () => V): V {
    const known = this.#values.get(key) as V | undefined;
    if (known !== undefined) return known;
    const value = make();
    this.#values.set(key, value);
    return value;
  }
}
