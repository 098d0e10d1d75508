/** One row of the speed table. */
export interface SpeedRow {
  readonly what: string;
  readonly measured: string;
  /** Empty if the row has no target. */
  readonly target: string;
  /** Undefined if the row has no target. */
  readonly isMet?: boolean;
  /** How it was measured, in a few words. */
  readonly how: string;
}

const HEADINGS = ['what', 'measured', 'target', 'met', 'how it was measured'] as const;

/** The rows as text for a terminal. */
export function toTextTable(rows: readonly SpeedRow[]): string {
  const cells = [HEADINGS, ...rows.map(toCells)];
  const widths = HEADINGS.map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0)),
  );
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const [head = '', ...body] = lines;
  return [head, '-'.repeat(head.length + 20), ...body].join('\n');
}

/** The rows as a Markdown table. */
export function toMarkdownTable(rows: readonly SpeedRow[]): string {
  const lines = [HEADINGS, HEADINGS.map(() => '---'), ...rows.map(toCells)];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function toCells({ what, measured, target, isMet, how }: SpeedRow): readonly string[] {
  const mark = isMet === undefined ? '' : isMet ? 'yes' : 'NO';
  return [what, measured, target, mark, how];
}
