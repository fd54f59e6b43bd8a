/** Cuts a stream of bytes into lines; what a watch sends is one JSON document in each. */

import { kubeErrors } from './errors.ts';

/** An object is at most 1.5 MiB in etcd (its request limit) and a few times that as JSON. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 10;

export class LineSplitter {
  #rest: Buffer[] = [];
  #restLength = 0;

  /** The lines that this chunk completes, without empty ones. @throws AMBIT_KUBE_RESPONSE_TOO_LARGE */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, from)) {
      const line = this.#complete(chunk.subarray(from, to));
      if (line !== '') lines.push(line);
      from = to + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  /** Bytes of a line that has not ended. */
  get pending(): number {
    return this.#restLength;
  }

  #complete(end: Buffer): string {
    if (this.#restLength === 0) return end.toString().trim();
    this.#keep(end);
    const line = Buffer.concat(this.#rest).toString().trim();
    this.#rest = [];
    this.#restLength = 0;
    return line;
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#restLength += bytes.length;
    if (this.#restLength > MAX_LINE_BYTES) {
      throw kubeErrors.AMBIT_KUBE_RESPONSE_TOO_LARGE(
        `a line of a watch has more than ${MAX_LINE_BYTES} bytes`,
      );
    }
    this.#rest.push(bytes);
  }
}
