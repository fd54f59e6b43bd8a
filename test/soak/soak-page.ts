/** The graph of a soak and its section of docs/performance.md. */

import type { MachineFacts } from '../bench/dataplane/machine-facts.ts';
import { spreadOf } from '../bench/dataplane/statistics.ts';
import { NODES } from '../support/two-pods.ts';
import { type Chart, lineChart } from './line-chart.ts';
import { LOAD, type SoakResult, type SoakSample } from './run-soak.ts';
import { BOUNDS, growthOf, PARTS, WARM_UP_SHARE, warm } from './soak-verdict.ts';

export interface SoakPage {
  readonly result: SoakResult;
  readonly facts: MachineFacts;
  /** Of the run, such as what else the machine did; empty for nothing. */
  readonly note: string;
}

const COLOURS = { node1: ['#1b6ca8', '#7fb3d5'], node2: ['#b9531a', '#e3a57f'] } as const;
const HOUR_DIGITS = 1;
const SECOND_MS = 1000;

export function soakGraph({ result: { samples }, facts }: SoakPage): string {
  const of = (take: (sample: SoakSample) => number) => samples.map(take);
  const chart: Chart = {
    title: `Soak of both node proxies, ${facts.date}, commit ${facts.commit}`,
    times: of(({ seconds }) => seconds),
    panels: [
      {
        title: 'Memory, MB',
        lines: NODES.flatMap((node) => [
          {
            name: `${node} resident`,
            colour: COLOURS[node][0],
            values: of(({ proxies }) => proxies[node].resident),
          },
          {
            name: `${node} anonymous`,
            colour: COLOURS[node][1],
            values: of(({ proxies }) => proxies[node].anonymous),
          },
        ]),
      },
      {
        title: 'Open descriptors',
        lines: NODES.map((node) => {
          return {
            name: node,
            colour: COLOURS[node][0],
            values: of(({ proxies }) => proxies[node].descriptors),
          };
        }),
      },
      {
        title: 'Requests on kept connections, ms',
        lines: [
          { name: 'p50', colour: '#2e7d32', values: of(({ requests }) => requests.p50) },
          { name: 'p99', colour: '#8e24aa', values: of(({ requests }) => requests.p99) },
        ],
      },
    ],
  };
  return lineChart(chart);
}

/** @param graph path of the picture, as a link of the page */
export function soakSection({ result, facts, note }: SoakPage, graph: string): string {
  const { samples, calls, failures } = result;
  const { cpu, cores, kernel } = facts.machine;
  const minutes = samples.at(-1)!.seconds / 60;
  const { resident, descriptors } = BOUNDS;
  const lines = [
    `\`make soak\` (\`SOAK_SECONDS\`, 900 by default) keeps two nodes of a sandbox under a steady load of every kind. Each of two pods`,
    `calls the other: ${LOAD.keptConnections} kept connections with ${Math.round(SECOND_MS / LOAD.requestIntervalMs)} HTTP requests a second each, ${Math.round(SECOND_MS / LOAD.callIntervalMs)} new connections a second, ${LOAD.streams} streams of 0.8 MB/s both ways in`,
    `which every byte is compared, ${Math.round(SECOND_MS / LOAD.lookupIntervalMs)} DNS questions a second. It fails if anything of that fails. The first ${Math.round(WARM_UP_SHARE * 100)} % of the time are the`,
    `warm-up; of ${PARTS} equal parts of the rest it takes that whose slope (a regression) is in the middle, and fails if a proxy's memory grows by more than`,
    `${resident.perHour} MB an hour in it or its descriptors by more than ${descriptors.perHour}, less two standard errors, or if the last part is more than ${resident.rise} MB or ${descriptors.rise}`,
    `descriptors above the first one. It writes the graph and this section.`,
    '',
    `![Memory, descriptors and latency over time](${graph})`,
    '',
    `${facts.date}, commit \`${facts.commit}\`, ${minutes.toFixed(0)} minutes on ${cores} cores of ${cpu || 'an unnamed processor'}, Linux ${kernel}: ${calls} short`,
    `connections, ${failures.length} failures.${note === '' ? '' : ` ${note}`}`,
    '',
    '| proxy of | | median | highest | rise | slope an hour |',
    '|---|---|---|---|---|---|',
    ...growthOf(samples).map(({ node, quantity, slope, error, rise }) => {
      const { median, max } = spreadOf(warm(samples).map(({ proxies }) => proxies[node][quantity]));
      const unit = quantity === 'descriptors' ? 'descriptors' : `${quantity} MB`;
      return `| ${node} | ${unit} | ${median.toFixed(HOUR_DIGITS)} | ${max.toFixed(HOUR_DIGITS)} | ${rise.toFixed(HOUR_DIGITS)} | ${slope.toFixed(HOUR_DIGITS)} ± ${error.toFixed(HOUR_DIGITS)} |`;
    }),
    '',
    latencyLine(
      'requests on kept connections',
      samples.map(({ requests }) => requests),
    ),
    latencyLine(
      'DNS answers',
      samples.map(({ lookups }) => lookups),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function latencyLine(what: string, all: readonly SoakSample['requests'][]): string {
  const of = (name: 'p50' | 'p99') => spreadOf(all.map((one) => one[name])).median.toFixed(2);
  return `- ${what}: p50 ${of('p50')} ms, p99 ${of('p99')} ms (medians of the samples)`;
}
