import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PROJECT_ROOT } from '../project-root.ts';
import type { SpeedRow } from './report.ts';

const FOLDER = join(PROJECT_ROOT, 'docs', 'figures');

const figuresSchema = z.object({
  version: z.string(),
  machine: z.string(),
  /** By the name of the row. Ratios where a machine would matter otherwise. */
  figures: z.record(z.string(), z.number()),
});
type Figures = z.infer<typeof figuresSchema>;

/** The figures of the newest release that has a file, with the rows that refer to them. */
export async function compareToLast(rows: readonly SpeedRow[]): Promise<readonly SpeedRow[]> {
  const last = await readLast();
  if (last === undefined) return rows;
  return rows.map((row) => {
    const before = last.figures[row.what];
    if (row.value === undefined || before === undefined || before === 0) return row;
    return { ...row, toLast: `${(row.value / before).toFixed(2)}x of ${last.version}` };
  });
}

/** Keeps the figures of this run as those of the version in package.json. */
export async function writeFigures(rows: readonly SpeedRow[], machine: string): Promise<void> {
  const manifest: unknown = JSON.parse(await readFile(join(PROJECT_ROOT, 'package.json'), 'utf8'));
  const { version } = z.object({ version: z.string() }).parse(manifest);
  const known = rows.flatMap(({ what, value }) =>
    value === undefined || Number.isNaN(value)
      ? []
      : [[what, Number(value.toPrecision(4))] as const],
  );
  const content: Figures = { version, machine, figures: Object.fromEntries(known) };
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, `${version}.json`), `${JSON.stringify(content, undefined, 2)}\n`);
}

async function readLast(): Promise<Figures | undefined> {
  const names = await readdir(FOLDER).catch(() => []);
  const inOrder = names.filter((name) => name.endsWith('.json')).toSorted(byVersion);
  const newest = inOrder.at(-1);
  if (newest === undefined) return undefined;
  return figuresSchema.parse(JSON.parse(await readFile(join(FOLDER, newest), 'utf8')));
}

function byVersion(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true });
}
