/** What the bench compares: a way from a pod on one node to a pod on the other. */

import type { LoadClient } from '../load/load-client.ts';

export type PeerName = 'ambit' | 'haproxy' | 'envoy' | 'direct';

export interface Peer {
  readonly name: PeerName;
  /** In the pod that calls. */
  readonly client: LoadClient;
  /** What it dials there: `IP:PORT`. */
  readonly target: string;
  /** Both proxies, that of the calling side first; none for `direct`. */
  readonly pids: readonly number[];
}
