/** Names of the kernel's error numbers, and the ones the data plane tells apart. */

import { constants } from 'node:os';
import type { AmbitError } from '../base/errors.ts';
import { sysErrors } from './errors.ts';

/** The same numbers on x86-64 and arm64 (asm-generic/errno.h). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  EPROTONOSUPPORT: 93,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

const names = new Map<number, string>(
  [...Object.entries(constants.errno), ...Object.entries(ERRNO)].map(([name, number]) => [number, name]),
);

/** `ECONNREFUSED` for 111 as well as for -111; `errno 999` for a number without a name. */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return names.get(number) ?? `errno ${number}`;
}

/** The error for a system call that failed with a negated errno; `cause` carries that number as `errno`. */
export function systemError(action: string, result: number): AmbitError {
  const cause = Object.assign(new Error(errnoName(result)), { errno: -result });
  return sysErrors.AMBIT_SYSTEM_CALL_FAILED(`${action}: ${errnoName(result)}`, cause);
}

/**
 * Returns the result of a system call that did not fail.
 * @throws AMBIT_SYSTEM_CALL_FAILED naming the action and the errno
 */
export function succeeded(result: number, action: string): number {
  if (result < 0) throw systemError(action, result);
  return result;
}
