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

/**
 * As `self.getFunctions()`, but without the JavaScript around each function in which node:ffi checks every argument
 * before its native binding converts it: 10 ns a call instead of 120 to 400 (docs/decisions/0019). Callers are typed, and
 * addresses come from src/sys alone. Where a signature needs that JavaScript (strings), or where this Node shows no other
 * function, it is the usual one.
 */
export function directFunctions<const T extends Ffi.FunctionDefinitions>(
  definitions: T,
): Ffi.WrappedFunctionsFromDefinitions<T> {
  const bare = new Map<string, unknown>();
  const usual = watchingSymbolLookups(
    (owner) => bare.set(owner.name, owner),
    () => self.getFunctions(definitions),
  );
  const entries = Object.entries(usual).map(([name, checked]) => {
    const isChecked = definitions[name]?.arguments?.includes('string') ?? false;
    return [name, isChecked ? checked : (bare.get(name) ?? checked)];
  });
  return Object.fromEntries(entries) as typeof usual;
}

/**
 * node:ffi asks each bare function for a property by a symbol, to learn its signature. What a function does not have
 * itself is looked for in its prototypes, so for the time of `action` a proxy is the last of them.
 */
function watchingSymbolLookups<T>(onLookup: (owner: { readonly name: string }) => void, action: () => T): T {
  const last: object = Object.getPrototypeOf(Function.prototype);
  const get = (target: object, key: string | symbol, owner: unknown): unknown => {
    if (typeof key === 'symbol' && typeof owner === 'function') onLookup(owner);
    return Reflect.get(target, key, owner);
  };
  Object.setPrototypeOf(Function.prototype, new Proxy(last, { get }));
  try {
    return action();
  } finally {
    Object.setPrototypeOf(Function.prototype, last);
  }
}
