/** Judges every TCP segment between the nodes: what belongs to meshed pods must be HBONE, and unreadable. */

import { portOf, type Segment } from '../support/wire-capture.ts';
import { READABLE } from './traffic-main.ts';

const HBONE_PORT = 15008;
/** The first ones tell more than all. */
const KEPT = 3;

/** Collects what went past the mesh, until it is taken. */
export class OffTheMesh {
  readonly #ips: readonly string[];
  readonly #bypassing: string[] = [];
  readonly #readable: string[] = [];
  #tunnelled = 0;

  /** @param ips of the pods of the mesh */
  constructor(ips: readonly string[]) {
    this.#ips = ips;
  }

  see(segment: Segment): void {
    const isHbone = portOf(segment.source) === HBONE_PORT || portOf(segment.destination) === HBONE_PORT;
    if (isHbone) this.#tunnelled++;
    const line = `${segment.source} > ${segment.destination} ${segment.text.slice(0, 60)}`;
    if (segment.text.includes(READABLE)) this.#readable.push(line);
    if (!isHbone && this.#isOfMesh(segment)) this.#bypassing.push(line);
  }

  /** What has been seen since the last call. */
  take(): { readonly readable: string[]; readonly bypassing: string[]; readonly tunnelled: number } {
    const tunnelled = this.#tunnelled;
    this.#tunnelled = 0;
    return {
      readable: this.#readable.splice(0).slice(0, KEPT),
      bypassing: this.#bypassing.splice(0).slice(0, KEPT),
      tunnelled,
    };
  }

  #isOfMesh({ source, destination }: Segment): boolean {
    return [source, destination].some((end) => this.#ips.includes(ipOf(end)));
  }
}

/** `10.244.1.3:8080` or `[fd00::1]:8080`. */
function ipOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
