/** Writes docs/errors.md out of the error catalogues of src/, so that every code is explained and none twice. */

import { globSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { AmbitError } from '../src/base/errors.ts';

const ROOT = join(import.meta.dirname, '..');

const HEAD = `# Errors

Every error that an operator can meet has a code, which does not change. The message beside it says what happened and to
whom; this page says whose doing it is and what to do next. \`make errors-page\` writes it out of the sources.
`;

/** All factories of one folder's catalogue. */
type Catalogue = Readonly<Record<string, (message: string) => AmbitError>>;

async function sectionOf(path: string): Promise<string> {
  const module = (await import(path)) as Record<string, Catalogue>;
  const catalogues = Object.values(module).filter((value) => typeof value === 'object');
  const rows = catalogues
    .flatMap((catalogue) => Object.values(catalogue))
    .map((factory) => factory(''))
    .map((error) => `| <a id="${error.code}"></a>\`${error.code}\` | ${error.side} | ${error.hint} |`);
  const folder = relative(join(ROOT, 'src'), dirname(path));
  return `\n## ${folder}\n\n| code | side | what to do |\n|---|---|---|\n${rows.join('\n')}\n`;
}

const paths = globSync('src/**/errors.ts', { cwd: ROOT }).map((path) => join(ROOT, path));
const sections = await Promise.all(
  paths
    .filter((path) => !path.endsWith('src/base/errors.ts'))
    .sort()
    .map(sectionOf),
);
writeFileSync(join(ROOT, 'docs', 'errors.md'), HEAD + sections.join(''));
