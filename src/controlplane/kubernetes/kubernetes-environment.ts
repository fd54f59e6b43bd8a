/** A Kubernetes cluster: objects of its API server, which also vouches for callers, the CA in a Secret, one leader. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { Backoff } from '../../base/backoff.ts';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { EventRecorder } from '../../kube/event-recorder.ts';
import { KubeClient } from '../../kube/kube-client.ts';
import { KubernetesSource } from '../../kube/kubernetes-source.ts';
import { OBJECT_KINDS } from '../../objects/kinds.ts';
import { logger } from '../../telemetry/log.ts';
import { SecretAuthority } from '../ca/secret-authority.ts';
import { TokenReviewVerifier } from '../ca/token-review-verifier.ts';
import type { KubernetesConfig } from '../config.ts';
import type { Environment } from '../environment.ts';
import { CaEvents } from './ca-events.ts';
import { environmentMetrics } from './environment-metrics.ts';
import { KubeCaSecret } from './kube-ca-secret.ts';
import { Leadership } from './leadership.ts';
import { tokenReviews } from './token-reviews.ts';

const log = logger('controlplane');

/** Field manager of everything that the control plane writes. */
export const WRITER = 'ambit-controlplane';
const CONTROLLER = 'ambit.io/controlplane';
/** Until all nodes have heard that this replica is not ready any more, it goes on serving. */
const DRAIN_MS = 3000;
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;

/** Waits for as long as the API server or a usable CA is missing. Rejects with AMBIT_KUBE_CONFIG_INVALID. */
export async function openKubernetesEnvironment(config: KubernetesConfig): Promise<Environment> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await KubeClient.connect(config));
  log.info('connecting', { server: client.server.href, namespace: config.namespace });
  const source = new KubernetesSource(client, { kinds: OBJECT_KINDS, writer: WRITER });
  stack.defer(() => source.stop());
  await source.start();
  const recorder = new EventRecorder({ client, controller: CONTROLLER, instance: config.identity });
  const caEvents = new CaEvents({ ...config, recorder, source });
  const signing = await openSecret(client, config, caEvents);
  stack.defer(() => signing.close());
  const tokens = new TokenReviewVerifier({
    review: tokenReviews(client),
    audiences: config.tokenAudiences,
  });
  const leadership = new Leadership({ ...config, client, source, recorder, writer: WRITER });
  stack.defer(() => leadership.stop());
  const open = stack.move();
  return {
    source,
    tokens,
    signing,
    metrics: environmentMetrics({ leadership, tokens, recorder }),
    describe: () => ({
      ...{ replica: config.identity, leader: leadership.holder },
      ...{ secret: `${config.namespace}/${config.caSecret}`, key: signing.owner },
    }),
    publishRoots: (authority) => leadership.publishRootsOf(authority),
    lead: (controller) => leadership.start(controller),
    retire: async () => {
      await leadership.stop();
      await setTimeoutAsync(DRAIN_MS);
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** A Secret that cannot be used yet may be half of what cert-manager writes, or a person's mistake that is repaired. */
async function openSecret(
  client: KubeClient,
  { namespace, caSecret, trustDomain }: KubernetesConfig,
  events: CaEvents,
): Promise<SecretAuthority> {
  const secret = new KubeCaSecret({ client, namespace, name: caSecret, writer: WRITER });
  const backoff = new Backoff({ minMs: MIN_RETRY_MS, maxMs: MAX_RETRY_MS });
  for (;;) {
    try {
      return await SecretAuthority.open({
        secret,
        trustDomain,
        onProblem: (problem) => events.note(problem),
      });
    } catch (thrown) {
      const code = thrown instanceof AmbitError ? thrown.code : undefined;
      log.error('there is no CA to sign with yet', { secret: secret.place, code, reason: messageOf(thrown) });
      if (thrown instanceof AmbitError) events.note(thrown);
      await setTimeoutAsync(backoff.next());
    }
  }
}
