import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as z from 'zod';
import { compareWithout, type TestOutcome } from './packages/compare-without.ts';
import { findImporters, MAIN_PATH_PACKAGES, type MainPathPackage } from './packages/main-path.ts';
import { isMain, PROJECT_ROOT } from './project-root.ts';
import { readTree, type TreeFile } from './structure/source-tree.ts';
import { formatTable } from './table.ts';

/** What shows that a package carries the service. */
export interface PackageRow {
  readonly name: string;
  /** Undefined if `npm ci --omit=dev` does not install it. */
  readonly version: string | undefined;
  /** Files on a path from a trigger. */
  readonly importers: readonly string[];
  readonly test: string;
  readonly intact: TestOutcome;
  readonly removed: TestOutcome;
}

/** Whether a package is installed, imported, and missed by its test. */
export function isCarrying({ version, importers, intact, removed }: PackageRow): boolean {
  const isMissed = intact.passed > 0 && intact.failed === 0 && removed.failed > 0;
  return version !== undefined && importers.length > 0 && isMissed;
}

/** Measures packages two at a time: each starts a test runner. */
export async function measurePackages(
  packages: readonly MainPathPackage[] = MAIN_PATH_PACKAGES,
): Promise<PackageRow[]> {
  const installed = await listInstalled();
  const files = readTree(PROJECT_ROOT);
  const rows = new Map<string, PackageRow>();
  const waiting = [...packages];
  async function work(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      rows.set(next.name, await measurePackage(next, { installed, files }));
    }
  }
  await Promise.all([work(), work()]);
  return packages.flatMap(({ name }) => rows.get(name) ?? []);
}

interface Project {
  readonly installed: ReadonlyMap<string, string>;
  readonly files: readonly TreeFile[];
}

async function measurePackage(
  measured: MainPathPackage,
  { installed, files }: Project,
): Promise<PackageRow> {
  const { name, test } = measured;
  const comparison = await compareWithout({ root: PROJECT_ROOT, package: measured });
  const importers = findImporters(files, name);
  return { name, version: installed.get(name), importers, test, ...comparison };
}

const listSchema = z.object({
  dependencies: z.record(z.string(), z.object({ version: z.string().optional() })),
});

/** The packages that the deployed app has, by name, with their versions. */
async function listInstalled(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await promisify(execFile)('npm', ['ls', '--omit=dev', '--depth=0', '--json'], {
    cwd: PROJECT_ROOT,
    shell: process.platform === 'win32',
  });
  const { dependencies } = listSchema.parse(JSON.parse(stdout));
  return new Map(
    Object.entries(dependencies).flatMap(([name, { version }]) =>
      version === undefined ? [] : [[name, version] as const],
    ),
  );
}

function printRows(rows: readonly PackageRow[]): void {
  const columns = ['package', 'version', 'imported by', 'test', 'with it', 'without it', ''];
  const cells = rows.map((row) => [
    row.name,
    row.version ?? 'missing',
    row.importers.length > 2 ? `${row.importers.length} files` : row.importers.join(', '),
    row.test,
    describeOutcome(row.intact),
    describeOutcome(row.removed),
    isCarrying(row) ? '' : 'NOT CARRYING',
  ]);
  console.log(
    formatTable(
      columns.map((heading) => ({ heading })),
      cells,
    ),
  );
}

function describeOutcome({ passed, failed, skipped }: TestOutcome): string {
  return `${passed} pass, ${failed} fail${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

if (isMain(import.meta.filename)) {
  const rows = await measurePackages();
  printRows(rows);
  process.exitCode = rows.every(isCarrying) ? 0 : 1;
}
