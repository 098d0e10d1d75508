import { formatMarkdown, formatTable } from '../table.ts';

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
  return formatTable(
    HEADINGS.map((heading) => ({ heading })),
    rows.map(toCells),
  );
}

/** The rows as a Markdown table. */
export function toMarkdownTable(rows: readonly SpeedRow[]): string {
  return formatMarkdown(HEADINGS, rows.map(toCells));
}

function toCells({ what, measured, target, isMet, how }: SpeedRow): readonly string[] {
  const mark = isMet === undefined ? '' : isMet ? 'yes' : 'NO';
  return [what, measured, target, mark, how];
}
