/** From errno to the errors of the catalogue: what a failed connection means to an operator. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import { formatSocketAddress } from '../base/ip.ts';
import { ERRNO, errnoName } from '../sys/errno.ts';
import { ioErrors } from './errors.ts';

const UNREACHABLE: ReadonlySet<number> = new Set([
  ERRNO.ENETUNREACH,
  ERRNO.EHOSTUNREACH,
  ERRNO.ENETDOWN,
  ERRNO.EHOSTDOWN,
]);

/** Why a connection to `remote` was not made; `result` is a negated errno. */
export function connectError(remote: SocketAddress, result: number): AmbitError {
  const message = `connect to ${formatSocketAddress(remote)}: ${errnoName(result)}`;
  const errno = -result;
  if (errno === ERRNO.ECONNREFUSED) return ioErrors.AMBIT_CONNECT_REFUSED(message);
  if (errno === ERRNO.ETIMEDOUT) return ioErrors.AMBIT_CONNECT_TIMED_OUT(message);
  if (UNREACHABLE.has(errno)) return ioErrors.AMBIT_CONNECT_UNREACHABLE(message);
  if (errno === ERRNO.ECONNRESET) return ioErrors.AMBIT_UPSTREAM_RESET(message);
  return ioErrors.AMBIT_CONNECT_FAILED(message);
}

/** The kernel has found no source port that is free towards `remote`. */
export function sourcePortsExhausted(remote: SocketAddress): AmbitError {
  return ioErrors.AMBIT_SOURCE_PORTS_EXHAUSTED(
    `connect to ${formatSocketAddress(remote)}: no source port is left`,
  );
}

/** Why an established connection broke; `outgoing` says that we had dialled. */
export function connectionError(remote: SocketAddress, outgoing: boolean, result: number): AmbitError {
  const message = `connection ${outgoing ? 'to' : 'from'} ${formatSocketAddress(remote)}: ${errnoName(result)}`;
  const broken = result === -ERRNO.ECONNRESET || result === -ERRNO.EPIPE;
  if (outgoing)
    return broken ? ioErrors.AMBIT_UPSTREAM_RESET(message) : ioErrors.AMBIT_UPSTREAM_LOST(message);
  return broken ? ioErrors.AMBIT_DOWNSTREAM_RESET(message) : ioErrors.AMBIT_DOWNSTREAM_LOST(message);
}
