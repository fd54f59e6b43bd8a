/** Writes the table of all settings into docs/install.md, between its two marks. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { settingsTable } from './settings-table.ts';

const PAGE = join(import.meta.dirname, '..', 'docs', 'install.md');
const [BEGIN, END] = ['<!-- settings -->\n', '<!-- end of settings -->\n'];

const text = readFileSync(PAGE, 'utf8');
const head = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
writeFileSync(PAGE, head + settingsTable() + text.slice(text.indexOf(END)));
