/** Writes the table of all checks into docs/troubleshooting.md, between its two marks. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkTable } from '../src/cli/check/check-table.ts';

const PAGE = join(import.meta.dirname, '..', 'docs', 'troubleshooting.md');
const [BEGIN, END] = ['<!-- checks -->\n', '<!-- end of checks -->\n'];

const text = readFileSync(PAGE, 'utf8');
const head = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
writeFileSync(PAGE, head + checkTable() + text.slice(text.indexOf(END)));
