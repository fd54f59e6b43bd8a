/** Memory that system calls may write into: an ordinary byte array whose address never changes. */

import { ffi } from './ffi.ts';

const uint64 = new BigUint64Array(1);
const lowHalf = new Uint32Array(uint64.buffer, 0, 1);

/** For src/sys only: a length or an offset as native code takes it. `BigInt(number)` costs 70 ns more, and garbage. */
export function toUint64(number: number): bigint {
  lowHalf[0] = number;
  return uint64[0]!;
}

let baseOf: (buffer: NativeBuffer) => bigint;

/**
 * A fixed block of zeroed bytes outside the JavaScript heap. The address is known to src/sys only, and the memory
 * lives as long as this object: whoever hands it to the kernel or to OpenSSL keeps a reference.
 */
export class NativeBuffer {
  readonly size: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly #address: bigint;

  static {
    baseOf = (buffer) => buffer.#address;
  }

  /** `memory` is for src/sys only. Not a typed array: V8 keeps small ones in its heap, where the collector moves them. */
  constructor(size: number, memory = new ArrayBuffer(size)) {
    this.size = size;
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.#address = ffi.getRawPointer(memory);
  }
}

/** For src/sys only: where the buffer begins. The caller keeps the buffer for as long as it uses the address. */
export function addressOf(buffer: NativeBuffer): bigint {
  return baseOf(buffer);
}

/** A module variable that no function mentions is not kept alive by the module. */
const lasting: NativeBuffer[] = [];

/** For src/sys only: the address of a buffer that is never freed, so that a module may keep the address alone. */
export function lastingAddressOf(buffer: NativeBuffer): bigint {
  lasting.push(buffer);
  return baseOf(buffer);
}

/**
 * For src/sys only: the address of a range that a system call may fill or read.
 * @throws RangeError for a range outside the buffer, the one mistake here that would corrupt memory
 */
export function addressAt(buffer: NativeBuffer, offset: number, length: number): bigint {
  if (!isUint32(offset) || !isUint32(length) || offset + length > buffer.size) {
    throw new RangeError(`bytes ${offset} to ${offset + length} of a buffer of ${buffer.size}`);
  }
  return furtherOn(baseOf(buffer), offset);
}

/** For src/sys only: the address `bytes` behind another. Where a sum is cut to 64 bits V8 adds numbers instead of making a BigInt. */
export function furtherOn(address: bigint, bytes: number): bigint {
  return BigInt.asUintN(64, address + toUint64(bytes));
}

function isUint32(number: number): boolean {
  return number >>> 0 === number;
}
