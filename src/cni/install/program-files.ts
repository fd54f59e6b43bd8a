/** Collects the files of a program of ours as JavaScript that stands by itself: a module and all that it imports. */

import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

/** `from './x.ts'`, `import './x.js'`, `import('./x.js')`: what the compiler and the bundler leave of imports. */
const RELATIVE_IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.{1,2}\/[^"']+)\2/g;

/**
 * Reads the module and everything it imports by a relative path. In a checkout that is TypeScript, whose types are
 * taken out; in a bundle it is a few files of JavaScript already.
 * @returns text by file name; the names are flat, and that of the module itself is the first
 */
export function programFiles(entry: string): Map<string, string> {
  const names = new Map<string, string>([[entry, 'main.mjs']]);
  const files = new Map<string, string>();
  for (const [path, name] of names) {
    const text = readFileSync(path, 'utf8');
    const script = path.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
    const contents = script.replaceAll(RELATIVE_IMPORT, (_match, lead: string, _quote, specifier: string) => {
      const target = join(dirname(path), specifier);
      const known = names.get(target) ?? `${names.size}.mjs`;
      // A map that is being walked through also shows what is added to it.
      names.set(target, known);
      return `${lead}"./${known}"`;
    });
    files.set(name, contents);
  }
  return files;
}
