/** What a NACK says: the refused resources with their reasons, as a text like Istio's and as a detail for programs. */

import type { RejectedResource } from './mesh-resources.ts';
import type { InitOf } from './message-schema.ts';
import { BadRequest, type Status } from './well-known-messages.ts';

/** google.rpc.Code INVALID_ARGUMENT. */
const INVALID_ARGUMENT = 3;
/** More are counted, not named: a NACK must not outgrow what the other end takes. */
const MAX_NAMED = 500;
/** Characters of one reason. */
const MAX_REASON = 300;
const SEPARATOR = '; ';

/** The name of a rejection that the peer did not give one for. */
export const UNNAMED = '';

export function nackStatus(rejected: readonly RejectedResource[]): InitOf<typeof Status> {
  const named = rejected.slice(0, MAX_NAMED).map(({ name, reason }) => ({
    name,
    reason: reason.slice(0, MAX_REASON),
  }));
  const texts = named.map(({ name, reason }) => `${name}: ${reason}`);
  if (rejected.length > named.length) texts.push(`and ${rejected.length - named.length} more`);
  const fieldViolations = named.map(({ name, reason }) => ({ field: name, description: reason }));
  return {
    code: INVALID_ARGUMENT,
    message: texts.join(SEPARATOR),
    details: [{ typeUrl: BadRequest.typeUrl, value: BadRequest.encode({ fieldViolations }) }],
  };
}

/**
 * The resources that a NACK names: by the detail when there is one, else by a text of the form `name: reason; …` as
 * far as these are names (`isName`). What names nothing is one rejection without a name.
 */
export function rejectedResources(status: Status, isName: (name: string) => boolean): RejectedResource[] {
  const detailed = fromDetails(status);
  if (detailed.length > 0) return detailed;
  const parts = status.message.split(SEPARATOR).slice(0, MAX_NAMED);
  const named = parts.flatMap((part) => {
    const cut = part.indexOf(': ');
    const name = part.slice(0, Math.max(0, cut));
    return isName(name) ? [{ name, reason: part.slice(cut + 2, cut + 2 + MAX_REASON) }] : [];
  });
  return named.length > 0 ? named : [{ name: UNNAMED, reason: status.message.slice(0, MAX_REASON) }];
}

function fromDetails(status: Status): RejectedResource[] {
  const detail = status.details.find((one) => one.typeUrl === BadRequest.typeUrl);
  if (detail === undefined) return [];
  return BadRequest.decode(detail.value)
    .fieldViolations.slice(0, MAX_NAMED)
    .map(({ field, description }) => ({ name: field, reason: description.slice(0, MAX_REASON) }));
}
