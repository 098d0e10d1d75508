/** One column of a table. Without a width it is as wide as its longest cell. */
export interface Column {
  readonly heading: string;
  /** In characters; longer cells are cut. */
  readonly width?: number;
  readonly align?: 'left' | 'right';
}

type SizedColumn = Column & { readonly width: number };

const GAP = '  ';

/** The rows as aligned columns for a terminal, with a heading. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const sized = columns.map((column, index) => ({
    ...column,
    width: column.width ?? Math.max(...[column.heading, ...cellsAt(rows, index)].map(lengthOf)),
  }));
  return [formatHeading(sized), ...rows.map((cells) => formatRow(sized, cells))].join('\n');
}

/** The heading of a table whose rows are printed one by one. */
export function formatHeading(columns: readonly SizedColumn[]): string {
  const headings = formatRow(
    columns,
    columns.map(({ heading }) => heading),
  );
  const width = columns.reduce((sum, column) => sum + column.width + GAP.length, -GAP.length);
  return `${headings}\n${'-'.repeat(width)}`;
}

export function formatRow(columns: readonly SizedColumn[], cells: readonly string[]): string {
  return columns
    .map((column, index) => fit(cells[index] ?? '', column))
    .join(GAP)
    .trimEnd();
}

/** The rows as a Markdown table. */
export function formatMarkdown(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [headings, headings.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cellsAt(rows: readonly (readonly string[])[], index: number): string[] {
  return rows.map((cells) => cells[index] ?? '');
}

function lengthOf(text: string): number {
  return text.length;
}

function fit(text: string, { width, align }: SizedColumn): string {
  if (text.length > width) return `${text.slice(0, width - 1)}…`;
  return align === 'right' ? text.padStart(width) : text.padEnd(width);
}
