/** Asks an API server about tokens. */

import type { KubeClient } from '../../kube/kube-client.ts';
import type { ReviewToken, TokenReviewStatus } from '../ca/token-review-verifier.ts';

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';
/** A proxy that waits for its certificate is better served by a new attempt than by a long wait. */
const TIMEOUT_MS = 10_000;

/** Needs `create` of TokenReviews. */
export function tokenReviews(client: KubeClient): ReviewToken {
  return async (token, audiences) => {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec: { token, audiences },
    };
    const { status = {} } = await client.request<{ readonly status?: TokenReviewStatus }>({
      method: 'POST',
      path: PATH,
      body,
      timeoutMs: TIMEOUT_MS,
    });
    return status;
  };
}
