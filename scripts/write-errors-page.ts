/** Writes docs/errors.md out of the error catalogues of src/, so that every code is explained and none twice. */

import { globSync, readFileSync, writeFileSync } from 'node:fs';
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
  const rows = Object.values(module)
    .filter(
      (value) => typeof value === 'object' && Object.keys(value).some((key) => key.startsWith('AMBIT_')),
    )
    .flatMap((catalogue) => Object.values(catalogue))
    .map((factory) => factory(''))
    .map((error) => `| <a id="${error.code}"></a>\`${error.code}\` | ${error.side} | ${error.hint} |`);
  const folder = relative(join(ROOT, 'src'), dirname(path));
  return `\n## ${folder}\n\n| code | side | what to do |\n|---|---|---|\n${rows.join('\n')}\n`;
}

const paths = globSync('src/**/*.ts', { cwd: ROOT })
  .map((path) => join(ROOT, path))
  .filter((path) => / = errorCatalogue\(\{/.test(readFileSync(path, 'utf8')))
  .sort();
const sections: string[] = [];
for (const path of paths) sections.push(await sectionOf(path));
writeFileSync(join(ROOT, 'docs', 'errors.md'), HEAD + sections.join(''));
