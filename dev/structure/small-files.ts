import { basename } from 'node:path';
import type { TreeFile } from './source-tree.ts';

export const MAX_FILE_LINES = 300;
/** A shorter file with one importer is easier to read within that importer. */
const MIN_LINES = 40;

/**
 * Small files that implement one of our interfaces with an SDK, a socket or Redis: path, reason.
 */
export const SMALL_ADAPTERS: Readonly<Record<string, string>> = {
  'shared/redis/redis-client.ts': 'the Upstash client behind our interface, loaded when configured',
};

export interface SmallFile {
  readonly path: string;
  readonly lines: number;
  readonly importer: string | undefined;
}

export function findLargeFiles(files: readonly TreeFile[]): TreeFile[] {
  return files.filter(({ lines }) => lines > MAX_FILE_LINES);
}

/**
 * Files of `shared/` under 40 lines with at most one importer in `functions/` and `shared/`, except
 * lazy chunks, adapters, and pure algorithms with a test of their own.
 */
export function findSmallFiles(
  files: readonly TreeFile[],
  testPaths: readonly string[],
): SmallFile[] {
  const tested = new Set(testPaths.map((path) => basename(path, '.test.ts')));
  return files
    .filter(({ path, lines }) => path.startsWith('shared/') && lines < MIN_LINES)
    .filter(({ path }) => SMALL_ADAPTERS[path] === undefined)
    .filter((file) => !(isPure(file) && tested.has(basename(file.path, '.ts'))))
    .flatMap(({ path, lines }) => {
      const importers = files.filter((file) => kindsOf(file, path).length > 0);
      if (importers.length > 1) return [];
      if (importers.some((importer) => kindsOf(importer, path).includes('lazy'))) return [];
      return [{ path, lines, importer: importers[0]?.path }];
    });
}

/** Whether a file computes from its parameters alone: it loads no other code. */
function isPure({ imports }: TreeFile): boolean {
  return imports.every(({ kind }) => kind === 'type');
}

function kindsOf(importer: TreeFile, path: string): string[] {
  return importer.imports.filter(({ target }) => target === path).map(({ kind }) => kind);
}
