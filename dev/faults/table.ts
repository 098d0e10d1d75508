import type { Row } from './run-case.ts';

/** Widths of the columns that hold sentences; what is longer is cut. */
const WIDTHS = { injected: 32, promised: 48, happened: 40 } as const;

/** The heading of the table. */
export function tableHead(): string {
  const cells = [
    'id '.padEnd(4),
    'mode  ',
    'eps',
    ...sentences({
      injected: 'injected',
      promised: 'promised',
      happened: 'happened',
    }),
    'calls',
    '    ms',
    'result',
  ];
  const line = cells.join('  ');
  return `${line}\n${'-'.repeat(line.length)}`;
}

/** One row of the table, with what broke below it. */
export function tableRow(row: Row): string {
  const line = [
    row.id.padEnd(4),
    row.mode.padEnd(6),
    `${row.endpoints}`.padStart(3),
    ...sentences(row),
    `${row.calls}`.padStart(5),
    `${Math.round(row.ms)}`.padStart(6),
    row.problems.length === 0 ? 'pass' : 'FAIL',
  ].join('  ');
  const rest = row.happened.length > WIDTHS.happened ? [`      = ${row.happened}`] : [];
  return [line, ...rest, ...row.problems.map((problem) => `      ! ${problem}`)].join('\n');
}

function sentences(row: Readonly<Record<keyof typeof WIDTHS, string>>): string[] {
  return (['injected', 'promised', 'happened'] as const).map((name) =>
    fit(row[name], WIDTHS[name]),
  );
}

function fit(text: string, width: number): string {
  return text.length <= width ? text.padEnd(width) : `${text.slice(0, width - 1)}…`;
}
