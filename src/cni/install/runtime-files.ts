/** The files that Node needs to run on a host that has nothing: itself, the dynamic loader, and its libraries. */

import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { cniErrors } from '../errors.ts';

export interface RuntimeFiles {
  readonly node: string;
  readonly loader: string;
  /** By the name that the loader looks for. */
  readonly libraries: ReadonlyMap<string, string>;
}

/**
 * Those of the Node that runs this. The loader itself is asked, as it alone knows where it finds what.
 * @throws AMBIT_CNI_INSTALL_FAILED when it does not tell
 */
export function ownRuntimeFiles(): RuntimeFiles {
  const node = process.execPath;
  let listing: string;
  try {
    listing = execFileSync(node, { env: { LD_TRACE_LOADED_OBJECTS: '1' }, encoding: 'utf8' });
  } catch (thrown) {
    throw cniErrors.AMBIT_CNI_INSTALL_FAILED(
      `the libraries of ${node} are not known: ${messageOf(thrown)}`,
      thrown,
    );
  }
  return parseListing(node, listing);
}

/** Lines are `libm.so.6 => /lib/libm.so.6 (0x…)`, of the loader `/lib64/ld-linux-x86-64.so.2 (0x…)`. */
export function parseListing(node: string, listing: string): RuntimeFiles {
  const libraries = new Map<string, string>();
  for (const match of listing.matchAll(/^\s*(\S+) => (\/\S+) \(0x/gm)) libraries.set(match[1]!, match[2]!);
  const loader = /^\s*(\/\S+) \(0x/m.exec(listing)?.[1] ?? [...libraries.values()].find(isLoader);
  if (loader === undefined || libraries.size === 0) {
    throw cniErrors.AMBIT_CNI_INSTALL_FAILED(
      `the libraries of ${node} cannot be read from: ${listing.trim()}`,
    );
  }
  return { node, loader, libraries };
}

function isLoader(path: string): boolean {
  return basename(path).startsWith('ld-');
}
