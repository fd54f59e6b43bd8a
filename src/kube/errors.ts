/** Errors of everything that talks to a Kubernetes API server. */

import { errorCatalogue } from '../base/errors.ts';

export const kubeErrors = errorCatalogue({
  AMBIT_KUBE_CONFIG_INVALID: {
    side: 'config',
    hint: 'Check --kubeconfig, --context, KUBECONFIG and ~/.kube/config; in a pod, that its service account is mounted.',
  },
  AMBIT_KUBE_CREDENTIALS_UNAVAILABLE: {
    side: 'config',
    hint: 'The token or certificate cannot be had: check the credential plugin of the kubeconfig, or the projected token.',
  },
  AMBIT_KUBE_UNREACHABLE: {
    side: 'control-plane',
    retryable: true,
    hint: 'Check that the API server runs and can be reached from here; what was read before stays in force meanwhile.',
  },
  AMBIT_KUBE_REQUEST_FAILED: {
    side: 'control-plane',
    hint: 'The API server refused; on 403 compare the ClusterRole with the one of this version, on 401 the credentials.',
  },
  AMBIT_KUBE_APPLY_CONFLICT: {
    side: 'config',
    hint: 'Somebody else manages these fields: give them up there, or apply with force to take them over.',
  },
  AMBIT_KUBE_KIND_UNKNOWN: {
    side: 'config',
    hint: 'The API server does not serve this kind: install its CustomResourceDefinition, or check the spelling.',
  },
  AMBIT_KUBE_VERSION_UNSERVED: {
    side: 'config',
    hint: 'The CustomResourceDefinition is too old: install the one of this version, or a newer one of Istio or the Gateway API.',
  },
  AMBIT_KUBE_RESPONSE_INVALID: {
    side: 'control-plane',
    retryable: true,
    hint: 'What came is not an answer of a Kubernetes API server: look at the proxies and load balancers before it.',
  },
  AMBIT_KUBE_RESPONSE_TOO_LARGE: {
    side: 'control-plane',
    hint: 'An answer or an event is larger than any of a Kubernetes API server should be: look at what sends it.',
  },
  AMBIT_KUBE_FORWARD_FAILED: {
    side: 'upstream',
    hint: 'Check that the pod runs, listens on this port, and that you may create pods/portforward in its namespace.',
  },
  AMBIT_KUBE_STOPPED: {
    side: 'internal',
    hint: 'The process ends; whatever was under way is begun anew by the next one.',
  },
});
