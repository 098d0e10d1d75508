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
  /** What is kept for comparison with later releases; a ratio where the machine would matter. */
  readonly value?: number;
  /** Its ratio to the last release that has figures. */
  readonly toLast?: string;
}

const HEADINGS = [
  'what',
  'measured',
  'target',
  'met',
  'to the last',
  'how it was measured',
] as const;

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

function toCells(row: SpeedRow): readonly string[] {
  const { what, measured, target, isMet, toLast = '', how } = row;
  const mark = isMet === undefined ? '' : isMet ? 'yes' : 'NO';
  return [what, measured, target, mark, toLast, how];
}
