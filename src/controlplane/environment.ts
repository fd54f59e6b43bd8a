/** What a control plane finds around it: the objects, who vouches for callers, the key that signs, who else writes. */

import type { ObjectSource } from '../objects/object-source.ts';
import type { MetricSet } from '../telemetry/metric-set.ts';
import type { TokenVerifier } from './ca/caller.ts';
import type { CertificateAuthority } from './ca/certificate-authority.ts';
import type { SigningSource } from './ca/signing-material.ts';
import type { MeshController } from './mesh-controller.ts';

export interface Environment extends AsyncDisposable {
  /** Has been started. */
  readonly source: ObjectSource;
  readonly tokens: TokenVerifier;
  readonly signing: SigningSource;
  readonly metrics?: MetricSet;
  /** What an operator is shown of the CA and of who writes. */
  describe(): object;
  /** Lets clients have the roots, now and whenever they change. */
  publishRoots(authority: CertificateAuthority): void;
  /** Everything serves: the controller is told to write for as long as this process is the one that does. */
  lead(controller: MeshController): void;
  /** Another process may write from now on; resolves when clients have had the time to go to it. */
  retire(): Promise<void>;
}
