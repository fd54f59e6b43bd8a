/** Writes the Helm chart into build/chart/, and the archive that `helm install` takes. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { VERSION } from '../../src/base/version.ts';
import { ROOT } from './bundle.ts';
import { makeChart } from './chart.ts';
import { tarParts } from './tar-archive.ts';

const BUILD = join(ROOT, 'build');
const FOLDER = join(BUILD, 'chart', 'ambit');
const ARCHIVE = join(BUILD, `ambit-chart-${VERSION}.tgz`);

const files = makeChart();
rmSync(FOLDER, { recursive: true, force: true });
for (const [path, text] of files) {
  mkdirSync(join(FOLDER, dirname(path)), { recursive: true });
  writeFileSync(join(FOLDER, path), text);
}
const entries = [...files].map(([path, text]) => ({
  kind: 'file' as const,
  path: `ambit/${path}`,
  mode: 0o644,
  content: Buffer.from(text),
}));
writeFileSync(ARCHIVE, gzipSync(Buffer.concat([...tarParts(entries)])));
process.stderr.write(`chart: ${FOLDER}, packed as ${ARCHIVE}\n`);
