/** Reads what a node proxy says of its work: the metrics page and the access log, plain and JSON. */

export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of a page in the Prometheus text format. */
export function parseMetrics(text: string): readonly MetricSample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) return [];
    const pairs = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    const labels = Object.fromEntries(pairs.map(([, key, value]) => [key!, value!]));
    return [{ name: match[1]!, labels, value: Number(match[3]) }];
  });
}

/** The sum of the samples that have all these labels. */
export function sumOf(
  samples: readonly MetricSample[],
  name: string,
  labels: Readonly<Record<string, string>>,
): number {
  const wanted = Object.entries(labels);
  return samples
    .filter((one) => one.name === name && wanted.every(([key, value]) => one.labels[key] === value))
    .reduce((sum, one) => sum + one.value, 0);
}

export interface LogLine {
  readonly level: string;
  readonly scope: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** A line of either format; undefined for what is none. */
export function parseLogLine(line: string): LogLine | undefined {
  return line.startsWith('{') ? parseJsonLine(line) : parsePlainLine(line);
}

function parseJsonLine(line: string): LogLine {
  const { level, scope, message, time: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, String(value)]));
  return { level: String(level), scope: String(scope), message: String(message), fields };
}

function parsePlainLine(line: string): LogLine | undefined {
  const [time, level, scope, message, rest = ''] = line.split('\t');
  if (time === undefined || message === undefined || Number.isNaN(Date.parse(time))) return undefined;
  const pairs = [...rest.matchAll(/([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)/g)];
  const fields = pairs.map(([, key, value]) => [key, value!.startsWith('"') ? JSON.parse(value!) : value]);
  return { level: level!, scope: scope!, message, fields: Object.fromEntries(fields) };
}
