/** The messages of google.protobuf and google.rpc that the control-plane protocols use, Struct apart. */

import { message, repeated, singular, type ValueOf } from './message-schema.ts';
import { BYTES, INT32, INT64, STRING, UINT32 } from './wire-type.ts';

/** A message of any type, encoded, beside the URL that says which. */
export const Any = message('google.protobuf.Any', {
  typeUrl: singular(1, STRING),
  value: singular(2, BYTES),
});
export type Any = ValueOf<typeof Any>;

export const Duration = message('google.protobuf.Duration', {
  seconds: singular(1, INT64),
  nanos: singular(2, INT32),
});
export type Duration = ValueOf<typeof Duration>;

/** Present or absent: what a plain uint32 field cannot say. */
export const UInt32Value = message('google.protobuf.UInt32Value', { value: singular(1, UINT32) });
export type UInt32Value = ValueOf<typeof UInt32Value>;

export const Empty = message('google.protobuf.Empty', {});
export type Empty = ValueOf<typeof Empty>;

export const Status = message('google.rpc.Status', {
  /** Zero when the message alone matters, as in a NACK of Istio's ztunnel. */
  code: singular(1, INT32),
  message: singular(2, STRING),
  details: repeated(3, Any),
});
export type Status = ValueOf<typeof Status>;

/** A detail of {@link Status}: which parts of a request were wrong. Ambit's NACK names the resources with it. */
export const BadRequest = message('google.rpc.BadRequest', {
  fieldViolations: repeated(
    1,
    message('google.rpc.BadRequest.FieldViolation', {
      field: singular(1, STRING),
      description: singular(2, STRING),
    }),
  ),
});
export type BadRequest = ValueOf<typeof BadRequest>;
