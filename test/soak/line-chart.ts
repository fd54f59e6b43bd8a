/** Charts of lines over time as one SVG picture, panel below panel. */

export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly values: readonly number[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface Chart {
  readonly title: string;
  /** In seconds; one for each value of every line. */
  readonly times: readonly number[];
  readonly panels: readonly Panel[];
}

const WIDTH = 860;
const PANEL = { height: 200, top: 34, bottom: 26, left: 56, right: 16 } as const;
const TITLE_HEIGHT = 34;
const WANTED_TICKS = 5;
const MINUTE = 60;

/** A document of its own, on white. */
export function lineChart({ title, times, panels }: Chart): string {
  const height = TITLE_HEIGHT + panels.length * PANEL.height;
  const body = panels.map((panel, i) => {
    return `<g transform="translate(0 ${TITLE_HEIGHT + i * PANEL.height})">\n${panelOf(panel, times)}\n</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<text x="${PANEL.left}" y="22" font-size="15" font-weight="bold">${escaped(title)}</text>
${body.join('\n')}
</svg>
`;
}

function panelOf({ title, lines }: Panel, times: readonly number[]): string {
  const highest = Math.max(...lines.flatMap(({ values }) => values));
  const rows = ticksTo(highest);
  const top = rows.at(-1)!;
  const last = times.at(-1)!;
  const x = (seconds: number) => round(PANEL.left + (seconds / last) * (WIDTH - PANEL.left - PANEL.right));
  const y = (value: number) => {
    return round(PANEL.height - PANEL.bottom - (value / top) * (PANEL.height - PANEL.top - PANEL.bottom));
  };
  const parts = [
    `<text x="${PANEL.left}" y="14" font-weight="bold">${escaped(title)}</text>`,
    ...legendOf(lines),
    ...rows.map((value) => rowAt(y(value), String(value))),
    ...ticksTo(last / MINUTE)
      .filter((minutes) => minutes * MINUTE <= last)
      .map((minutes) => columnAt(x(minutes * MINUTE), `${minutes} min`)),
    ...lines.map(({ colour, values }) => {
      const points = values.map((value, i) => `${x(times[i]!)},${y(value)}`).join(' ');
      return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points}"/>`;
    }),
  ];
  return parts.join('\n');
}

function legendOf(lines: readonly Line[]): readonly string[] {
  const step = (WIDTH - PANEL.left - PANEL.right) / Math.max(lines.length, 1);
  return lines.map(({ name, colour }, i) => {
    const x = round(PANEL.left + i * step);
    return `<text x="${x}" y="29" fill="${colour}">— ${escaped(name)}</text>`;
  });
}

function rowAt(y: number, label: string): string {
  const line = `<line x1="${PANEL.left}" x2="${WIDTH - PANEL.right}" y1="${y}" y2="${y}" stroke="#dddddd"/>`;
  return `${line}<text x="${PANEL.left - 6}" y="${y + 4}" text-anchor="end" fill="#555555">${label}</text>`;
}

function columnAt(x: number, label: string): string {
  return `<text x="${x}" y="${PANEL.height - 10}" text-anchor="middle" fill="#555555">${label}</text>`;
}

/** Round numbers from 0 up to the first that is not below the value. */
export function ticksTo(value: number): readonly number[] {
  const rough = Math.max(value, 1e-6) / WANTED_TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * (1 - 1e-9))!;
  const count = Math.ceil(value / step - 1e-9);
  return Array.from({ length: Math.max(count, 1) + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
