import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../cli-error.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { formatMarkdown } from '../table.ts';
import type { StepFigures } from './run-load.ts';

const PAGE = join(PROJECT_ROOT, 'docs', 'runbooks', 'load-test.md');
const BEGIN = '<!-- measured: begin -->';
const END = '<!-- measured: end -->';

/** The columns of the figures of a step. */
export const STEP_HEADINGS = ['callers', 'requests/s', 'p50', 'p95', 'p99', 'errors', '429'];

/** The cells of a step. */
export function stepCells(figures: StepFigures): string[] {
  const { callers, perSecond, p50, p95, p99, errors, throttled } = figures;
  const times = [p50, p95, p99].map((ms) => (Number.isNaN(ms) ? 'none' : `${ms.toFixed(0)} ms`));
  return [String(callers), perSecond.toFixed(1), ...times, String(errors), String(throttled)];
}

export interface Measurement {
  /** The host that was measured. */
  readonly where: string;
  readonly version: string;
  readonly steps: readonly StepFigures[];
}

/** Writes the steps into the page of load tests; an earlier measurement of the same host goes. */
export async function writeLoadTable(measurement: Measurement, page = PAGE): Promise<void> {
  const text = await readFile(page, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new CliError(`Cannot write ${page} as it must hold '${BEGIN}' and '${END}'`);
  }
  const { where, version, steps } = measurement;
  const others = rowsOf(text.slice(begin, end)).filter(([host]) => host !== where);
  const date = new Date().toISOString().slice(0, 10);
  const rows = steps.map((step) => [where, `${version}, ${date}`].concat(stepCells(step)));
  const table = formatMarkdown(['where', 'version, date', ...STEP_HEADINGS], [...others, ...rows]);
  await writeFile(page, `${text.slice(0, begin)}${BEGIN}\n\n${table}\n\n${text.slice(end)}`);
}

function rowsOf(block: string): string[][] {
  return block
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.slice(2, -2).split(' | '));
}
