/** The errors that a gRPC call can end with: one for each status but OK. */

import { errorCatalogue } from '../../base/errors.ts';

/** Thrown by a client for what its peer answered, and by a handler for what it wants answered. */
export const grpcErrors = errorCatalogue({
  AMBIT_GRPC_CANCELLED: {
    side: 'control-plane',
    retryable: true,
    hint: 'One end gave the call up; it is made again where it has to be.',
  },
  AMBIT_GRPC_UNKNOWN: {
    side: 'control-plane',
    retryable: true,
    hint: 'The peer failed and did not say how: look at its log.',
  },
  AMBIT_GRPC_INVALID_ARGUMENT: {
    side: 'control-plane',
    hint: 'The peer does not take this request: compare the versions of both ends.',
  },
  AMBIT_GRPC_DEADLINE_EXCEEDED: {
    side: 'control-plane',
    retryable: true,
    hint: 'The peer was too slow or cannot be reached: look at its load and at the network between.',
  },
  AMBIT_GRPC_NOT_FOUND: { side: 'control-plane', hint: 'The peer does not know what was asked for.' },
  AMBIT_GRPC_ALREADY_EXISTS: { side: 'control-plane', hint: 'The peer has that already.' },
  AMBIT_GRPC_PERMISSION_DENIED: {
    side: 'control-plane',
    hint: 'The caller is known but may not do this: check which service accounts the control plane trusts.',
  },
  AMBIT_GRPC_RESOURCE_EXHAUSTED: {
    side: 'control-plane',
    retryable: true,
    hint: 'A message was larger than is taken, or the peer is overloaded: look at the size of the mesh and at its log.',
  },
  AMBIT_GRPC_FAILED_PRECONDITION: {
    side: 'control-plane',
    hint: 'The peer is not in the state to do this: look at its log.',
  },
  AMBIT_GRPC_ABORTED: {
    side: 'control-plane',
    retryable: true,
    hint: 'The peer broke the call off so that it is begun anew; this happens by itself.',
  },
  AMBIT_GRPC_OUT_OF_RANGE: { side: 'control-plane', hint: 'The request is outside of what the peer has.' },
  AMBIT_GRPC_UNIMPLEMENTED: {
    side: 'control-plane',
    hint: 'Nothing serves this method there: check that the address is that of the control plane.',
  },
  AMBIT_GRPC_INTERNAL: { side: 'control-plane', hint: 'A defect of the peer: look at its log.' },
  AMBIT_GRPC_UNAVAILABLE: {
    side: 'control-plane',
    retryable: true,
    hint: 'No connection, or it was lost: check that the control plane runs and can be reached; it is tried again.',
  },
  AMBIT_GRPC_DATA_LOSS: { side: 'control-plane', hint: 'The peer lost data: look at its log.' },
  AMBIT_GRPC_UNAUTHENTICATED: {
    side: 'control-plane',
    hint: 'The token was refused: check its audience, its age and the service account.',
  },
});
