/** Gives the failure of a dial to an HBONE port the words that an operator can act on. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress, type SocketAddress } from '../../base/ip.ts';
import { errors } from '../errors.ts';

/** A timeout on the HBONE port has one usual cause, which the message then names. */
export function hboneDialError(error: AmbitError, address: SocketAddress): AmbitError {
  if (!/TIMEOUT|TIMED_OUT/.test(error.code)) return error;
  const text = `connection timed out, maybe a NetworkPolicy is blocking HBONE port ${address.port}`;
  return errors.AMBIT_HBONE_DIAL_TIMEOUT(`${text}: ${formatSocketAddress(address)}: ${error.message}`, error);
}
