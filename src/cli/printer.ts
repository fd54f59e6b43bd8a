/** How commands print: tables for people, JSON or YAML for programs. */

export const OUTPUT_FORMATS = ['table', 'json', 'yaml'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** A column of a table: its header and how a row shows in it. */
export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string | number | undefined;
}

const GUTTER = '   ';

/** Lines with columns as wide as their widest cell; an empty cell shows as `-`. */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  withHeaders: boolean,
): string {
  const body = rows.map((row) => columns.map((column) => cell(column.value(row))));
  const lines = withHeaders ? [columns.map((column) => column.header), ...body] : body;
  const widths = columns.map((_, i) => lines.reduce((width, line) => Math.max(width, line[i]!.length), 0));
  return lines
    .map(
      (line) =>
        `${line
          .map((text, i) => text.padEnd(widths[i]!))
          .join(GUTTER)
          .trimEnd()}\n`,
    )
    .join('');
}

/** The same value for a program. */
export async function formatValue(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  if (format === 'json') return `${JSON.stringify(value, null, 2)}\n`;
  const { stringify } = await import('yaml');
  return stringify(value);
}

function cell(value: string | number | undefined): string {
  const text = value === undefined ? '' : String(value);
  return text === '' ? '-' : text;
}
