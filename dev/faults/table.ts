import { formatHeading, formatRow } from '../table.ts';
import type { Row } from './run-case.ts';

const HAPPENED_WIDTH = 40;
const COLUMNS = [
  { heading: 'id', width: 4 },
  { heading: 'mode', width: 6 },
  { heading: 'eps', width: 3, align: 'right' },
  { heading: 'injected', width: 32 },
  { heading: 'promised', width: 48 },
  { heading: 'happened', width: HAPPENED_WIDTH },
  { heading: 'calls', width: 5, align: 'right' },
  { heading: 'ms', width: 6, align: 'right' },
  { heading: 'result', width: 6 },
] as const;

/** The heading of the table. */
export function tableHead(): string {
  return formatHeading(COLUMNS);
}

/** One row of the table, with the violations below it. */
export function tableRow(row: Row): string {
  const { id, mode, endpoints, injected, promised, happened, calls, ms, problems } = row;
  const line = formatRow(COLUMNS, [
    id,
    mode,
    `${endpoints}`,
    injected,
    promised,
    happened,
    `${calls}`,
    `${Math.round(ms)}`,
    problems.length === 0 ? 'pass' : 'FAIL',
  ]);
  const rest = happened.length > HAPPENED_WIDTH ? [`      = ${happened}`] : [];
  return [line, ...rest, ...problems.map((problem) => `      ! ${problem}`)].join('\n');
}
