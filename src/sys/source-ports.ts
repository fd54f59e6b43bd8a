/** Where connect(2) looks for a source port that is free: among few at a time, so that it never takes long. */

import { readFileSync } from 'node:fs';
import { ERRNO } from './errno.ts';
import * as k from './layouts.ts';
import { setOption } from './sockets.ts';

/**
 * The kernel looks at one port after the other, and where all are in use, by connections in TIME_WAIT for instance, at all
 * 28,000 of them: that takes 2 to 4 ms, and these 40 us.
 */
export const PORTS_PER_SEARCH = 256;
/** So many searches find nothing where fewer than one port in a thousand is free. */
export const MAX_SEARCHES = 4;

const RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range';

interface PortRange {
  readonly low: number;
  readonly high: number;
}

/** The source ports of one network namespace, from which all of its calls are made. */
export class SourcePorts {
  /** net.ipv4.ip_local_port_range, which is of both families; undefined until somebody needs it. */
  #range: PortRange | undefined;

  /**
   * Connects by `connectNow`, where no port has been chosen yet: 0 or a negated errno, of which -EADDRNOTAVAIL says that
   * none is free towards there, or hardly any.
   */
  connect(fd: number, connectNow: () => number): number {
    this.#range ??= localPortRange();
    if (this.#range === undefined) return connectNow();
    const blocks = blocksOf(this.#range);
    const chosen = Math.floor(Math.random() * blocks);
    let result = -ERRNO.EADDRNOTAVAIL;
    for (let i = 0; i < Math.min(blocks, MAX_SEARCHES) && result === -ERRNO.EADDRNOTAVAIL; i++) {
      if (!lookWithin(fd, this.#range, (chosen + i) % blocks)) return connectNow();
      result = connectNow();
    }
    // Somebody may widen it.
    if (result === -ERRNO.EADDRNOTAVAIL) this.#range = undefined;
    return result;
  }
}

function blocksOf({ low, high }: PortRange): number {
  return Math.ceil((high - low + 1) / PORTS_PER_SEARCH);
}

/** Not on Linux before 6.3, which looks everywhere. */
function lookWithin(fd: number, { low, high }: PortRange, block: number): boolean {
  const first = low + block * PORTS_PER_SEARCH;
  const last = Math.min(high, first + PORTS_PER_SEARCH - 1);
  return setOption(fd, k.SOL_IP, k.IP_LOCAL_PORT_RANGE, (last << 16) | first) === 0;
}

/** The lower end lies below the upper one; undefined where neither can be read, for want of a descriptor say. */
function localPortRange(): PortRange | undefined {
  try {
    const [low, high] = readFileSync(RANGE_FILE, 'latin1').split(/\s+/).map(Number);
    return { low: low!, high: high! };
  } catch {
    return undefined;
  }
}
