/** The parts of a running control plane, as its pages and metrics show them. */

import type { ObjectSource } from '../objects/object-source.ts';
import type { Authenticate } from '../xds/call-authentication.ts';
import type { DeltaServer } from '../xds/delta-server.ts';
import type { Caller } from './ca/caller.ts';
import type { Environment } from './environment.ts';
import type { IssuingAuthority } from './issuing-authority.ts';
import type { MeshController } from './mesh-controller.ts';

export interface ControlPlaneParts {
  readonly environment: Environment;
  readonly source: ObjectSource;
  readonly controller: MeshController;
  readonly issuing: IssuingAuthority;
  readonly xds: DeltaServer<Caller>;
  readonly authenticate: Authenticate<Caller>;
}
