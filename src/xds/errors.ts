/** The errors that the control-plane protocols raise. */

import { errorCatalogue } from '../base/errors.ts';

export const xdsErrors = errorCatalogue({
  AMBIT_PROTOBUF_MALFORMED: {
    side: 'control-plane',
    hint: 'The peer sent bytes that are not the message they should be: compare the versions of both ends.',
  },
  AMBIT_PROTOBUF_LIMIT: {
    side: 'control-plane',
    hint: 'A message nests deeper or holds more than is taken: look at what produced it.',
  },
  AMBIT_RESOURCE_INVALID: {
    side: 'config',
    hint: 'The resource stays out of use, the rest of the push is applied: correct the object that it was made from.',
  },
  AMBIT_ROOT_CERTIFICATE_UNREADABLE: {
    side: 'config',
    hint: 'Check that the file with the root certificate of the control plane is mounted and holds PEM.',
  },
  AMBIT_TOKEN_UNREADABLE: {
    side: 'config',
    hint: 'Check that the service account token is projected into the pod at this path.',
  },
  AMBIT_CERTIFICATE_RESPONSE_EMPTY: {
    side: 'control-plane',
    retryable: true,
    hint: 'The certificate authority answered without a leaf and a root: look at its log.',
  },
  AMBIT_XDS_RESOURCE_TYPE_UNKNOWN: {
    side: 'internal',
    hint: 'The type URL was not named when the cache was made: a defect, please report it.',
  },
});
