/** The cluster without a mesh, so that what fails with one is known to be the mesh's. */

import { describeEveryday } from '../support/cluster/everyday-suite.ts';

describeEveryday({ namespace: 'bare-everyday', labels: {} });
