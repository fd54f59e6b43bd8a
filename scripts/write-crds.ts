/** Writes daemonset/crds/ out of the schemas in scripts/crds/; all versions of a kind share one schema. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crdFiles } from './crds/crd-files.ts';

const FOLDER = join(import.meta.dirname, '..', 'daemonset', 'crds');

for (const [name, text] of crdFiles()) writeFileSync(join(FOLDER, name), text);
