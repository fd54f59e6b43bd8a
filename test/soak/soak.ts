/** `make soak`: memory, descriptors and latency under a steady load. SOAK_SECONDS; SOAK_NOTE is a sentence for the page. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineFacts } from '../bench/dataplane/machine-facts.ts';
import { runSoak } from './run-soak.ts';
import { soakGraph, soakSection } from './soak-page.ts';
import { faultsOf } from './soak-verdict.ts';

const DEFAULT_SECONDS = 900;
const DOCS = join(import.meta.dirname, '..', '..', 'docs');
const GRAPH = 'soak.svg';
const PAGE = join(DOCS, 'performance.md');
const [BEGIN, END] = ['<!-- soak -->\n', '<!-- end of soak -->\n'];

const seconds = Number(process.env.SOAK_SECONDS ?? DEFAULT_SECONDS);
if (!(seconds > 0)) throw new Error(`SOAK_SECONDS is no number of seconds: ${process.env.SOAK_SECONDS}`);
const facts = machineFacts();
const result = await runSoak(seconds, (line) => process.stderr.write(`${line}\n`));
const page = { result, facts, note: process.env.SOAK_NOTE ?? '' };
writeFileSync(join(DOCS, GRAPH), soakGraph(page));
const text = readFileSync(PAGE, 'utf8');
const section = soakSection(page, GRAPH);
const head = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
writeFileSync(PAGE, head + section + text.slice(text.indexOf(END)));
process.stdout.write(section);
const faults = faultsOf(result);
for (const fault of faults) process.stderr.write(`soak: ${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
