import { formatTable } from '../table.ts';
import { moduleOf, type TreeFile } from './source-tree.ts';

/** Sizes of the files of one module, in lines. */
export interface ModuleSize {
  readonly module: string;
  readonly files: number;
  readonly lines: number;
  readonly median: number;
  readonly p90: number;
  readonly max: number;
}

/** One row for each module in alphabetical order, and one for all of `shared/` at the end. */
export function measureModules(files: readonly TreeFile[]): ModuleSize[] {
  const modules = Map.groupBy(files, ({ path }) => moduleOf(path));
  const rows = [...modules].map(([module, own]) => measure(module, own));
  const shared = files.filter(({ path }) => path.startsWith('shared/'));
  return [
    ...rows.toSorted((one, other) => one.module.localeCompare(other.module, 'en')),
    measure('all of shared/', shared),
  ];
}

function measure(module: string, files: readonly TreeFile[]): ModuleSize {
  const lines = files.map((file) => file.lines).toSorted((one, other) => one - other);
  return {
    module,
    files: lines.length,
    lines: lines.reduce((sum, count) => sum + count, 0),
    median: quantile(lines, 0.5),
    p90: quantile(lines, 0.9),
    max: lines.at(-1) ?? 0,
  };
}

/** The smallest value that is not exceeded by the given share of the sorted values. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** The rows as a table for a terminal. */
export function formatSizes(rows: readonly ModuleSize[]): string {
  const numbers = ['files', 'lines', 'median', 'p90', 'max'] as const;
  return formatTable(
    [{ heading: 'module' }, ...numbers.map((heading) => ({ heading, align: 'right' }) as const)],
    rows.map((row) => [row.module, ...numbers.map((name) => `${row[name]}`)]),
  );
}
