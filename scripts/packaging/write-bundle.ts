/** Writes dist/; npm calls it before it packs. */

import { join } from 'node:path';
import { buildBundle, ROOT } from './bundle.ts';

await buildBundle(join(ROOT, 'dist'));
