/** Everything that works on the bare cluster works in the mesh. */

import { describeEveryday } from '../support/cluster/everyday-suite.ts';
import { Mesh } from '../support/cluster/mesh.ts';
import { AMBIENT } from '../support/mesh-manifests.ts';

const NAMESPACE = 'mesh-everyday';

describeEveryday({
  namespace: NAMESPACE,
  labels: AMBIENT,
  whenRunning: (cluster) => new Mesh(cluster).enrolled(NAMESPACE),
});
