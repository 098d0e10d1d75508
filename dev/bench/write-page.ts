import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { CliError } from '../cli-error.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { drawPlot } from './draw-plot.ts';
import { writeFigures } from './figures.ts';
import type { Costs } from './measure-cost.ts';
import { median } from './measure-requests.ts';
import { toMarkdownTable, type SpeedRow } from './report.ts';
import type { ByName } from './speed-rows.ts';

const PAGE = join(PROJECT_ROOT, 'docs', 'speed.md');
const PLOT = join(PROJECT_ROOT, 'docs', 'speed.svg');
const BEGIN = '<!-- measured: begin -->';
const END = '<!-- measured: end -->';

/** Writes the figures of this run into the page, draws them, and keeps them for later releases. */
export async function writePage(
  rows: readonly SpeedRow[],
  { figures, costs }: { readonly figures: ByName; readonly costs: Costs },
): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new CliError(`Cannot write ${PAGE} as it must hold '${BEGIN}' and '${END}'`);
  }
  const machine = `Node ${process.versions.node}, ${cpus().length} cores, ${process.platform} ${process.arch}`;
  const measured = `${BEGIN}\n\n${machine}.\n\n${toMarkdownTable(rows)}\n\n`;
  await writeFile(PAGE, page.slice(0, begin) + measured + page.slice(end));
  await writeFile(PLOT, draw(figures, costs));
  await writeFigures(rows, machine);
}

function draw(figures: ByName, costs: Costs): string {
  const entries = Object.entries(figures);
  return drawPlot('The same request to the same model', [
    {
      title: 'CPU time of one request, all threads of the worker (less is better)',
      unit: 'microseconds, median',
      bars: [...costs].map(([label, all]) => ({ label, value: median(all) })),
    },
    {
      title: 'Throughput, 32 connections (more is better)',
      unit: 'requests per second',
      bars: entries.map(([label, { perSecond }]) => ({ label, value: perSecond })),
    },
    {
      title: 'Complete answer, one request at a time (less is better)',
      unit: 'milliseconds, median',
      bars: entries.map(([label, { p50At1 }]) => ({ label, value: p50At1 })),
    },
    {
      title: 'First token of a stream, one request at a time (less is better)',
      unit: 'milliseconds, median',
      bars: entries
        .map(([label, { firstTokenMs }]) => ({ label, value: firstTokenMs }))
        .filter(({ value }) => !Number.isNaN(value)),
    },
  ]);
}
