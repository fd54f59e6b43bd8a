/** The one door to native code: node:ffi, loaded with a readable error where it is missing. */

import type * as Ffi from 'node:ffi';
import { sysErrors } from './errors.ts';

/** node:ffi is experimental, so another minor or major may have another interface. */
const NODE_MAJOR = 26;
const NODE_MINOR_MINIMUM = 10;

/** How struct layouts depend on the processor; everything else in layouts.ts is the same on both. */
export type Architecture = 'x64' | 'arm64';

function checkRuntime(): Architecture {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  if (major !== NODE_MAJOR || minor < NODE_MINOR_MINIMUM) {
    throw unsupported(
      `Node ${process.versions.node} is not Node ${NODE_MAJOR}.${NODE_MINOR_MINIMUM} or newer`,
    );
  }
  if (process.platform !== 'linux') throw unsupported(`${process.platform} is not Linux`);
  if (process.arch !== 'x64' && process.arch !== 'arm64') throw unsupported(`processor ${process.arch}`);
  return process.arch;
}

function unsupported(what: string): Error {
  return sysErrors.AMBIT_RUNTIME_UNSUPPORTED(`this runtime cannot run the data plane: ${what}`);
}

function loadFfi(): typeof Ffi {
  const ffi = process.getBuiltinModule('node:ffi') as typeof Ffi | undefined;
  if (ffi === undefined) throw unsupported('node:ffi is switched off or not built in');
  return ffi;
}

export const architecture = checkRuntime();
export const ffi = loadFfi();

/** The node process itself: it exports libc, libuv and OpenSSL. Never closed (a compile job may still look at it). */
export const self = new ffi.DynamicLibrary(null);
